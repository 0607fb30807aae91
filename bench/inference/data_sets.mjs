// The data sets of the golden tests (`schema-infer/tests/it/golden.rs`), as files that every tool reads: each is a JSON array of
// documents. What the tests take out of a file is taken out of it here.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const shipped = (name) => at(`../../examples/data/airports/${name}.json`);
const work = at(".work/");

function fetched(path) {
  const file = at(`../../target/test-data/${path}`);
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`cargo xtask fetch\``);
  return file;
}

/** Writes what was taken out of a file, for the tools to read. */
function written(name, documents) {
  mkdirSync(work, { recursive: true });
  const file = join(work, `${name}.json`);
  writeFileSync(file, JSON.stringify(documents));
  return file;
}

const POKEDEX = { pokemon: "pokemon", moves: "move", types: "type", items: "item", avatarCustomizations: "avatar-customization" };

/** Name, golden file, and the file of each collection. */
export function dataSets() {
  const caniuse = JSON.parse(readFileSync(fetched("caniuse-db/data.json"), "utf8"));
  const entries = (member) => Object.entries(caniuse[member]).map(([id, value]) => ({ id, ...value }));
  return [
    { name: "movies", golden: "movies", collections: { movies: fetched("movies.json") } },
    {
      name: "airports",
      golden: "airports",
      collections: { airports: shipped("airports"), countries: shipped("countries"), regions: shipped("regions") },
    },
    { name: "world-countries", golden: "world_countries", collections: { countries: fetched("world-countries/countries.json") } },
    {
      name: "caniuse, a document for each feature and agent",
      golden: "caniuse",
      collections: { features: written("features", entries("data")), agents: written("agents", entries("agents")) },
    },
    { name: "caniuse, the file as one document", golden: "caniuse", collections: { files: written("files", [caniuse]) } },
    {
      name: "pokedex",
      golden: "pokedex",
      collections: Object.fromEntries(
        Object.entries(POKEDEX).map(([name, file]) => [name, fetched(`pokemongo-json-pokedex/${file}.json`)]),
      ),
    },
  ];
}
