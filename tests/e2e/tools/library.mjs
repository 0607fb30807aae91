// A small library: two collections whose documents have the same ids.

import { startServer } from "../own_server.mjs";

export const authors = Array.from({ length: 4 }, (_, at) => ({
  id: String(at + 1),
  name: `Author ${at + 1}`,
  born: `19${40 + at}-05-17`,
  awards: at % 2 ? [] : [{ title: "Prize", year: 1990 + at }],
}));

export const books = Array.from({ length: 12 }, (_, at) => ({
  id: String(at + 1),
  title: `Book ${String(at + 1).padStart(2, "0")}`,
  year: 1980 + at,
  pages: at % 3 ? 100 + at : null,
  price: 9.5 + at,
  isbn: 9_780_000_000_000 + at,
  added: `2024-01-${String(at + 1).padStart(2, "0")}T10:00:00Z`,
  writer: String((at % authors.length) + 1),
  tags: at % 2 ? ["novel", "used"] : [],
  publisher: { name: "House", city: at % 2 ? "Ulm" : null },
  editions: { 1999: { copies: 100 + at }, 2004: { copies: 7 } },
}));

export async function startLibrary(options) {
  const server = await startServer(options);
  await server.importInto("authors", authors);
  await server.importInto("books", books);
  return server;
}
