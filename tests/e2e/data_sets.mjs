// The real data sets that the tests load: each as collections of documents, as its publisher made them. What does not ship
// with this repository is fetched by `cargo xtask fetch`.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const shipped = (path) => JSON.parse(readFileSync(`${root}/examples/data/${path}`, "utf8"));
const fetched = (path) => JSON.parse(readFileSync(`${root}/target/test-data/${path}`, "utf8"));

/** The entries of a map, as documents with their key as `id`. */
const entries = (map) => Object.entries(map).map(([id, value]) => ({ id, ...value }));

/** By name, functions that read the data set and give its collections by name. */
export const dataSets = {
  movies: () => ({ movies: fetched("movies.json") }),
  airports: () => ({
    airports: shipped("airports/airports.json"),
    countries: shipped("airports/countries.json"),
    regions: shipped("airports/regions.json"),
  }),
  "world-countries": () => ({ countries: fetched("world-countries/countries.json") }),
  caniuse: () => {
    const file = fetched("caniuse-db/data.json");
    return { features: entries(file.data), agents: entries(file.agents), files: [file] };
  },
  pokedex: () => {
    const read = (name) => fetched(`pokemongo-json-pokedex/${name}.json`);
    return {
      pokemon: read("pokemon"),
      moves: read("move"),
      types: read("type"),
      items: read("item"),
      avatarCustomizations: read("avatar-customization"),
    };
  },
};

/** Loads a data set into a server. */
export async function load(server, name) {
  const collections = dataSets[name]();
  for (const [collection, documents] of Object.entries(collections)) {
    await server.importInto(collection, documents);
  }
  return collections;
}
