// Mutations at random over a world. Those of `gentle` keep the past as it was; those of `rough` take it away, or change the types.

import { ANCHORS, literal } from "./world.mjs";

export class Writes {
  #world;
  #random;

  constructor(world, random) {
    this.#world = world;
    this.#random = random;
  }

  /** One operation, mostly of one write. */
  gentle() {
    const random = this.#random;
    const fields = [];
    for (let left = random.chance(0.2) ? 2 + random.below(4) : 1; left > 0; left -= 1) fields.push(`w${left}: ${this.#write()}`);
    return `mutation { ${fields.join(" ")} }`;
  }

  /** One operation after which `at:` no longer shows all that was. */
  rough() {
    const random = this.#random;
    const it = random.pick(this.#world.collections);
    const { type, collection } = it;
    const documents = JSON.parse(JSON.stringify(this.#world.documents(it)));
    return random.pick([
      () => `mutation { delete${type}(id: "${this.#world.id()}", permanent: true) { id } }`,
      () => `mutation { delete${plural(it)}(filter: ${literal(this.#spared(it))}, permanent: true) { count } }`,
      () => `mutation { truncateCollection(name: "${collection}") { name } insertDocuments(collection: "${collection}", documents: ${literal(documents)}) }`,
      () => `mutation { truncateCollection(name: "${collection}") { name } }`,
      () => `mutation { insertDocuments(collection: "extra", documents: [{id: "x${random.below(1e6)}", n: 1}]) }`,
      () => {
        // Another index, which changes how things are found and nothing that is.
        const { name } = random.pick(it.fields.filter(({ ordered }) => ordered));
        const all = it.indexes.length && random.chance(0.4) ? [] : [...it.indexes, [name]];
        it.indexes = [...new Map(all.map((fields) => [String(fields), fields])).values()];
        return `mutation { applySchema(sdl: ${JSON.stringify(this.#world.sdl([it]))}) { changes } }`;
      },
      () => `mutation { update${type}(id: "${this.#world.id()}", patch: {_extra: {added${random.below(1e6)}: 1}}) { id } }`,
      () => {
        const odd = literal({ [random.pick(it.fields).name]: random.pick([["x"], true, { other: 1 }, "x", 2]) });
        return `mutation { update${type}(id: "${this.#world.id()}", patch: {_set: ${odd}}) { id } }`;
      },
      () => `mutation { update${type}(id: "${ANCHORS[0]}", patch: {_unset: [${random.pick(it.fields).name}]}) { id } }`,
    ])();
  }

  #spared(it) {
    return { and: [{ id: { notIn: ANCHORS } }, this.#world.filter(it, 1)] };
  }

  #write() {
    const random = this.#random;
    const world = this.#world;
    const it = random.pick(world.collections);
    const { type, collection } = it;
    const id = JSON.stringify(world.id());
    const selection = "{ id }";
    const roll = random.next();
    if (roll < 0.36) return `update${type}(id: ${id}, patch: ${this.#patch(it)}) ${selection}`;
    if (roll < 0.46) return `create${type}(input: ${literal(world.document(it, JSON.parse(id)))}) ${selection}`;
    if (roll < 0.52) return `create${plural(it)}(inputs: [${literal(world.document(it, JSON.parse(id)))}, ${literal(world.document(it))}]) ${selection}`;
    if (roll < 0.6) return `upsert${type}(id: ${id}, input: ${literal(world.document(it))}) ${selection}`;
    if (roll < 0.66) return `replace${type}(id: ${id}, input: ${literal(world.document(it))}) ${selection}`;
    if (roll < 0.78) return `delete${type}(id: ${id}) ${selection}`;
    if (roll < 0.86) return `restore${type}(id: ${id}) ${selection}`;
    if (roll < 0.92) return `update${plural(it)}(filter: ${literal(this.#spared(it))}, patch: ${this.#patch(it)}) { count }`;
    if (roll < 0.95) {
      const few = { and: [{ id: { in: [world.id(), world.id(), world.id()] } }, world.filter(it, 1)] };
      return `delete${plural(it)}(filter: ${literal(few)}) { count }`;
    }
    if (it.toOne.length > 0 && roll < 0.98) {
      const { name } = random.pick(it.toOne);
      return `update${type}(id: ${id}, patch: {${name}: ${random.chance(0.3) ? "null" : `{connect: ${JSON.stringify(world.id())}}`}}) ${selection}`;
    }
    return `insertDocuments(collection: "${collection}", documents: ${literal([world.document(it, JSON.parse(id))])})`;
  }

  #patch(it) {
    const random = this.#random;
    const world = this.#world;
    const roll = random.next();
    const numbers = it.fields.filter(({ kind }) => kind === "number");
    if (roll < 0.15) return `{_inc: {${random.pick(numbers).name}: ${random.pick([1, -1, 2, 0])}}}`;
    if (roll < 0.25) return `{_unset: [${random.pick(it.fields).name}]}`;
    const lists = it.fields.filter((field) => field.item);
    if (roll < 0.4 && lists.length > 0) {
      const { name, item } = random.pick(lists);
      return `{${random.pick(["_push", "_addToSet", "_pull"])}: {${name}: ${literal([item(random)])}}}`;
    }
    const [related] = [...it.toOne].slice(random.below(it.toOne.length || 1));
    if (roll < 0.55 && related) return `{${related.field}: ${JSON.stringify(world.id())}}`;
    const patch = {};
    for (const { name, value } of random.some(it.fields, 2)) patch[name] = random.chance(0.06) ? null : value(random);
    return literal(patch);
  }
}

const plural = ({ collection }) => collection[0].toUpperCase() + collection.slice(1);
