// What the server says of its schema is what graphql-js says of the same SDL.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { buildClientSchema, buildSchema, getIntrospectionQuery, introspectionFromSchema, printSchema, validateSchema } from "graphql";
import { load } from "./data_sets.mjs";
import { startServer } from "./own_server.mjs";

const OPTIONS = {
  descriptions: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  // Proposals that the server does not serve.
  oneOf: false,
  experimentalDirectiveDeprecation: false,
};

/** Directives that graphql-js lists for every schema, whatever its SDL says. */
const NOT_SERVED = ["oneOf"];

/** Directives of the specification, which every server brings. */
const BUILT_IN = ["skip", "include", "deprecated", "specifiedBy"];

for (const data of [undefined, "movies", "airports", "world-countries"]) {
  describe(`introspection of ${data ?? "an empty database"}`, () => {
    let server;
    let sdl;
    let found;
    before(async () => {
      server = await startServer();
      if (data) await load(server, data);
      sdl = await server.sdl();
      found = await server.run(getIntrospectionQuery(OPTIONS));
    });
    after(() => server.stop());

    test("equals what graphql-js makes of the SDL", () => {
      const schema = buildSchema(sdl);
      assert.deepEqual(validateSchema(schema), []);
      const expected = introspectionFromSchema(schema, OPTIONS);
      expected.__schema.directives = expected.__schema.directives.filter(({ name }) => !NOT_SERVED.includes(name));
      assert.ok(!JSON.stringify(found).includes("oneOf"), "oneOf is served: compare it too");
      const [mine, theirs] = [sorted(found), sorted(expected)];
      for (const part of ["types", "directives"]) {
        assert.deepEqual(mine[part].map(({ name }) => name), theirs[part].map(({ name }) => name));
        theirs[part].forEach((item, at) => {
          if (item.name.startsWith("__") || BUILT_IN.includes(item.name)) compareOfTheSystem(mine[part][at], item);
          else assert.deepEqual(mine[part][at], item, item.name);
        });
      }
      assert.deepEqual({ ...mine, types: [], directives: [] }, { ...theirs, types: [], directives: [] });
    });

    test("gives clients the schema that the SDL gives", () => {
      const [served, written] = [buildClientSchema(found), buildSchema(sdl)].map(printSchema).map((text) => text.split("\n\n").sort());
      // An introspection tells no directives of types, which printing leaves out as well.
      assert.deepEqual(served, written);
    });
  });
}

/** In the order of names where the specification leaves the order open. Fields, arguments and values keep theirs. */
function sorted(introspection) {
  const { __schema } = JSON.parse(JSON.stringify(introspection));
  const byName = (items) => items?.toSorted((a, b) => (a.name < b.name ? -1 : 1)) ?? null;
  return {
    ...__schema,
    directives: byName(__schema.directives).map((directive) => ({ ...directive, locations: directive.locations.toSorted() })),
    types: byName(__schema.types).map((type) => ({ ...type, possibleTypes: byName(type.possibleTypes), interfaces: byName(type.interfaces) })),
  };
}

/**
 * The types that introspection itself is made of, and the directives of the specification, are the same for every schema. The
 * server has those of the specification; graphql-js words them differently and has proposals among them, so each member
 * must be one that graphql-js has too.
 */
function compareOfTheSystem(mine, theirs) {
  for (const part of ["fields", "enumValues", "args"]) {
    for (const member of mine[part] ?? []) {
      const its = theirs[part].find(({ name }) => name === member.name);
      assert.ok(its, `${mine.name}.${member.name}`);
      assert.deepEqual(member.type, its.type, `${mine.name}.${member.name}`);
    }
  }
  for (const location of mine.locations ?? []) assert.ok(theirs.locations.includes(location), `${mine.name} on ${location}`);
}
