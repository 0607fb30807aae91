// Live operations at random over a world: lists with filters, orders and pages, single documents, aggregates, relations in both
// directions, several roots, with patches and without, and what the oracle's generator makes of the served schema.

import { Kind, isRequiredArgument, parse, print } from "graphql";
import { Generator } from "../oracle/generator.mjs";
import { ANCHORS, Word, literal } from "./world.mjs";

const SYSTEM = ["_version", "_commitTs", "_createdAt", "_updatedAt", "_deletedAt"];

export class LiveOperations {
  #world;
  #random;
  #generated;
  #aliases = 0;
  #variables;

  constructor(world, random, schema) {
    this.#world = world;
    this.#random = random;
    const query = schema.getQueryType();
    const isOfWorld = ({ name }) => world.collections.some(({ collection }) => name.startsWith(collection));
    const mayUse = (parent, field) =>
      !field.args.some(isRequiredArgument) && (parent === query ? isOfWorld(field) : field.name !== "_history");
    this.#generated = new Generator(schema, random, { roots: ["query"], withArguments: false, depth: 4, mayUse });
  }

  /** `{query, variables}`. `cursor(collection, arguments, declaration, variables)` asks the server for that of the last row of a list. */
  async next(cursor) {
    const random = this.#random;
    const patch = random.chance(0.5);
    if (random.chance(0.12)) return this.#fromSchema(patch);
    this.#variables = [];
    const isSubscription = random.chance(0.2);
    const roots = [];
    const count = isSubscription || random.chance(0.7) ? 1 : 2 + random.below(2);
    while (roots.length < count) roots.push(await this.#root(cursor));
    const declared = declaration(this.#variables);
    const variables = valuesOf(this.#variables);
    const head = isSubscription ? `subscription Live${declared}` : `query Live${declared} @live${patch ? "(patch: true)" : ""}`;
    return { query: `${head} { ${roots.join(" ")} }`, variables, isPatched: patch && !isSubscription };
  }

  #fromSchema(patch) {
    const { ast, conditions } = this.#generated.document();
    const live = parse(`query @live${patch ? "(patch: true)" : ""} { __typename }`).definitions[0].directives;
    const isOther = ({ name }) => name.value !== "live";
    const definitions = ast.definitions.map((it) =>
      it.kind === Kind.OPERATION_DEFINITION ? { ...it, directives: [...it.directives.filter(isOther), ...live] } : it,
    );
    const query = print({ ...ast, definitions });
    return { query, variables: conditions, isPatched: patch };
  }

  async #root(cursor) {
    const random = this.#random;
    const it = random.pick(this.#world.collections);
    const alias = `a${(this.#aliases += 1)}`;
    const roll = random.next();
    if (roll < 0.15) {
      const deleted = random.chance(0.1) ? ", deleted: INCLUDE" : "";
      return `${alias}: ${it.one}(id: ${this.#given("ID!", this.#id())}${deleted}) ${this.#selection(it, 2)}`;
    }
    if (roll < 0.4) return `${alias}: ${it.collection}Aggregate${this.#aggregate(it)}`;
    if (roll < 0.43) return `${alias}: collections { name count }`;
    return `${alias}: ${await this.#list(it, cursor)}`;
  }

  #id() {
    return this.#random.chance(0.1) ? this.#random.pick(ANCHORS) : this.#world.id();
  }

  async #list(it, cursor) {
    const random = this.#random;
    const found = {};
    if (random.chance(0.7)) found.filter = this.#given(`${it.type}Filter`, this.#world.filter(it));
    if (random.chance(0.65)) found.orderBy = this.#given(`[${it.type}OrderBy!]`, this.#world.order(it));
    if (random.chance(0.1)) found.deleted = random.pick(["INCLUDE", "ONLY"]);
    const page = { ...found };
    const size = random.pick([0, 1, 2, 3, 5, 8]);
    const roll = random.next();
    if (roll < 0.35) page.first = size;
    else if (roll < 0.5) page.last = size;
    else if (roll < 0.6) Object.assign(page, { first: size, offset: random.below(6) });
    else if (roll < 0.8) {
      const parameters = written({ ...found, first: 1 + random.below(6) });
      const used = this.#variables.filter(({ name }) => new RegExp(`\\$${name}\\b`).test(parameters));
      const at = await cursor(it, parameters, declaration(used), valuesOf(used));
      // What is chosen does not depend on whether there is one.
      const isForward = random.chance(0.6);
      if (at !== null) Object.assign(page, isForward ? { first: size, after: JSON.stringify(at) } : { last: size, before: JSON.stringify(at) });
    }
    return `${it.collection}${written(page)} ${this.#connection(it, 2)}`;
  }

  #connection(it, depth) {
    const random = this.#random;
    const parts = [];
    if (random.chance(0.75)) parts.push(`nodes ${this.#selection(it, depth)}`);
    if (parts.length === 0 || random.chance(0.2)) parts.push(`edges { ${random.chance(0.7) ? "cursor " : ""}node ${this.#selection(it, depth - 1)} }`);
    if (random.chance(0.4)) parts.push("totalCount");
    if (random.chance(0.3)) parts.push("pageInfo { hasNextPage hasPreviousPage startCursor endCursor }");
    return `{ ${random.chance(0.1) ? "totalCount" : parts.join(" ")} }`;
  }

  #selection(it, depth) {
    const random = this.#random;
    const parts = random.chance(0.8) ? [random.chance(0.8) ? "id" : "nodeId"] : [];
    for (const { name, selection } of random.some(it.fields, 3)) parts.push(selection ? `${name} ${selection}` : name);
    if (random.chance(0.12)) parts.push("_json");
    if (random.chance(0.2)) parts.push(random.pick(SYSTEM));
    if (depth > 0) {
      for (const { name, target } of [...it.toOne, ...it.toMany]) if (random.chance(0.3)) parts.push(`${name} ${this.#selection(target, depth - 1)}`);
      for (const { name, source } of it.inverses) {
        if (!random.chance(0.25)) continue;
        const page = {};
        if (random.chance(0.4)) page.filter = literal(this.#world.filter(source, 1));
        if (random.chance(0.4)) page.orderBy = literal(this.#world.order(source));
        if (random.chance(0.5)) page[random.pick(["first", "last"])] = random.pick([1, 2, 4]);
        parts.push(`${name}${written(page)} ${this.#connection(source, depth - 1)}`);
      }
    }
    return `{ ${parts.join(" ")} }`;
  }

  #aggregate(it) {
    const random = this.#random;
    const made = {};
    if (random.chance(0.6)) made.filter = this.#given(`${it.type}Filter`, this.#world.filter(it));
    if (random.chance(0.08)) made.deleted = random.pick(["INCLUDE", "ONLY"]);
    const values = it.fields.filter(({ ordered }) => ordered);
    const summed = it.fields.filter((field) => field.summed);
    const functions = () => {
      const parts = random.chance(0.7) ? ["count"] : [];
      const some = (fields) => random.some(fields, 2).map(({ name }) => name).join(" ");
      for (const name of random.some(["min", "max"], 2)) if (random.chance(0.6)) parts.push(`${name} { ${some(values)} }`);
      for (const name of ["sum", "avg"]) if (random.chance(0.4)) parts.push(`${name} { ${some(summed)} }`);
      if (random.chance(0.3)) parts.push(`countDistinct { ${random.pick(values).name} }`);
      return parts.length ? parts.join(" ") : "count";
    };
    if (random.chance(0.5)) return `${written(made)} { ${functions()} }`;
    const keys = random.some(it.fields.filter(({ ordered, grouped }) => ordered || grouped), 2);
    made.groupBy = `[${keys.map(({ name }) => name).join(", ")}]`;
    if (random.chance(0.5)) {
      const number = random.pick(summed).name;
      const sums = [{ sum: { [number]: { gte: 1 } } }, { not: { avg: { [number]: { lt: 2 } } } }];
      made.having = literal(random.pick([{ count: { gt: 1 } }, ...sums, { max: { [number]: { gt: 2 } } }]));
    }
    if (random.chance(0.4)) made.orderBy = literal([random.pick([{ count: new Word("DESC") }, { max: { [random.pick(summed).name]: new Word("ASC") } }])]);
    if (random.chance(0.4)) made.first = random.pick([1, 2, 5]);
    if (made.first !== undefined && random.chance(0.3)) made.offset = random.below(3);
    const totals = random.chance(0.4) ? ` ${functions()}` : "";
    return `${written(made)} { groupCount groups { key { ${keys.map(({ name }) => name).join(" ")} } ${functions()} }${totals} }`;
  }

  /** A value in the text, or as a variable. */
  #given(type, value) {
    if (!this.#random.chance(0.25)) return literal(value);
    const name = `v${this.#variables.length}`;
    this.#variables.push({ name, type, value: JSON.parse(JSON.stringify(value)) });
    return `$${name}`;
  }
}

function written(parameters) {
  const parts = Object.entries(parameters).map(([name, value]) => `${name}: ${value}`);
  return parts.length ? `(${parts.join(", ")})` : "";
}

const declaration = (variables) => (variables.length ? `(${variables.map(({ name, type }) => `$${name}: ${type}`).join(", ")})` : "");
const valuesOf = (variables) => Object.fromEntries(variables.map(({ name, value }) => [name, value]));
