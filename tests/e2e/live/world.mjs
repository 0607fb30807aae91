// A database at random: a few collections with documents of mixed shapes, relations between them, and what is declared of it.

/** Text that stands for itself in GraphQL and in JSON, an enum's value. */
export class Word {
  constructor(word) {
    this.word = word;
  }
  toJSON() {
    return this.word;
  }
}

/** A value as a literal of GraphQL. */
export function literal(value) {
  if (value instanceof Word) return value.word;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, inner]) => `${key}: ${literal(inner)}`).join(", ")}}`;
}

const TEXTS = ["", "ash", "Ash", "asp", "beech", "birch", "cedar", "ä€😀", "a\"b\\c"];
const DAYS = ["1999-12-31", "2000-01-01", "2000-02-29", "2024-06-15"];
/** Two of them are one instant. */
const MOMENTS = ["2024-02-29T23:30:00Z", "2024-03-01T00:30:00+01:00", "2024-03-01T00:00:00.5Z", "2025-01-01T00:00:00Z"];

const list = (random, most, item) => Array.from({ length: random.below(most + 1) }, item);
const number = (random) => random.below(12) - 3;
const text = (random) => random.pick(TEXTS);

/** Operators that compare with one value, and those that every field has. */
const ordered = (random, value) =>
  random.pick([
    () => ({ eq: value() }),
    () => ({ ne: value() }),
    () => ({ lt: value() }),
    () => ({ gte: value() }),
    () => ({ gt: value(), lte: value() }),
    () => ({ in: list(random, 3, value) }),
    () => ({ notIn: list(random, 2, value) }),
    () => ({ isNull: random.chance(0.5) }),
    () => ({ exists: random.chance(0.5) }),
    () => ({ eq: null }),
  ])();
const textual = (random) =>
  random.pick([
    () => ordered(random, () => text(random)),
    () => ({ startsWith: random.pick(["a", "as", "b", "", "A"]) }),
    () => ({ endsWith: random.pick(["h", "ch"]) }),
    () => ({ contains: random.pick(["e", "s", "😀"]) }),
    () => ({ like: random.pick(["a%", "%e%", "_sh", "b_r%"]) }),
  ])();
const plain = (random, value) => random.pick([{ eq: value }, { ne: value }, { isNull: random.chance(0.5) }]);
const several = (random, item) =>
  random.pick([() => ({ some: item() }), () => ({ every: item() }), () => ({ none: item() }), () => ({ length: length(random) })])();
const listed = (random, item) => (random.chance(0.2) ? { isNull: random.chance(0.5) } : several(random, item));
const length = (random) => random.pick([{ eq: 0 }, { gt: 1 }, { gte: 1 }, { lt: 2 }]);

/** What fields can hold: a value, a filter of it, how it is declared, what is selected of it. */
const KINDS = {
  number: { value: number, filter: (r) => ordered(r, () => number(r)), declared: "Int", ordered: true, summed: true },
  ratio: {
    value: (r) => r.pick([0.5, -1.25, 2, 3.75, 1e3, 0.1]),
    filter: (r) => ordered(r, () => r.pick([0.5, 2, 1])),
    declared: "Float",
    ordered: true,
    summed: true,
  },
  text: { value: text, filter: textual, declared: "String", ordered: true },
  flag: { value: (r) => r.chance(0.5), filter: (r) => plain(r, r.chance(0.5)), declared: "Boolean", ordered: true },
  day: { value: (r) => r.pick(DAYS), filter: (r) => ordered(r, () => r.pick(DAYS)), declared: "Date", ordered: true },
  moment: { value: (r) => r.pick(MOMENTS), filter: (r) => ordered(r, () => r.pick(MOMENTS)), declared: "DateTime", ordered: true },
  tags: { value: (r) => list(r, 3, () => text(r)), filter: (r) => listed(r, () => textual(r)), declared: "[String]", grouped: true, item: text },
  numbers: {
    value: (r) => list(r, 3, () => number(r)),
    filter: (r) => listed(r, () => ordered(r, () => number(r))),
    declared: "[Int]",
    grouped: true,
    item: number,
  },
  place: {
    value: (r) => ({ ...(r.chance(0.8) && { city: text(r) }), ...(r.chance(0.8) && { zone: number(r) }) }),
    filter: (r) => r.pick([() => ({ city: textual(r) }), () => ({ zone: ordered(r, () => number(r)) }), () => ({ isNull: r.chance(0.5) })])(),
    selection: "{ city zone }",
    order: (direction) => ({ zone: direction }),
    anchor: { city: "ash", zone: 1 },
  },
  parts: {
    value: (r) => list(r, 2, () => ({ key: text(r), size: number(r) })),
    filter: (r) => listed(r, () => r.pick([{ size: ordered(r, () => number(r)) }, { key: textual(r) }])),
    selection: "{ key size }",
    anchor: [{ key: "ash", size: 1 }],
  },
  mixed: {
    value: (r) => r.pick([() => number(r), () => text(r), () => r.chance(0.5), () => [number(r)], () => ({ deep: text(r) })])(),
    filter: (r) => r.pick([() => ordered(r, () => number(r)), () => textual(r), () => ordered(r, () => text(r))])(),
    ordered: true,
  },
};

const NAMES = [
  { collection: "authors", type: "Author", one: "author" },
  { collection: "books", type: "Book", one: "book" },
  { collection: "reviews", type: "Review", one: "review" },
  { collection: "shops", type: "Shop", one: "shop" },
];
const IDS = 24;
/** What every collection has of each kind, so that its types stay as they are. Writes leave them alone. */
export const ANCHORS = ["anchor-1", "anchor-2"];

export class World {
  /** Its collections: `{collection, type, one, fields: [{name, kind, …}], toOne, toMany, inverses}`. */
  collections;
  /** Whether something is deleted for good at once, so that the past does not stay what it was. */
  isForgetful;
  #random;

  constructor(random) {
    this.#random = random;
    this.isForgetful = random.chance(0.15);
    const names = random.some(NAMES, 3);
    if (names.length < 2) names.push(NAMES.find((it) => it !== names[0]));
    this.collections = names.map((it) => ({ ...it, fields: [], toOne: [], toMany: [], inverses: [], settings: [] }));
    for (const it of this.collections) this.#shape(it);
    for (const it of this.collections) this.#relate(it);
  }

  #shape(it) {
    const random = this.#random;
    for (const kind of new Set(["number", "text", ...random.some(Object.keys(KINDS), 7)])) it.fields.push({ name: kind, kind, ...KINDS[kind] });
    if (random.chance(0.4)) it.fields.push({ name: "second", kind: "number", ...KINDS.number });
    it.isPartial = random.chance(0.4);
    if (this.isForgetful && random.chance(0.6)) it.settings.push("softDelete: false");
    const indexed = it.fields.filter(({ ordered }) => ordered);
    const key = ({ name, kind }) => `${name}${kind === "moment" ? " INSTANT" : ""}${random.chance(0.4) ? " DESC" : ""}`;
    it.indexes = random.chance(0.6) ? [0, 1].map(() => random.some(indexed, 2).map(key)) : [];
    if (it.indexes.length > 0 && String(it.indexes[0]) === String(it.indexes[1])) it.indexes.pop();
  }

  #relate(it) {
    const random = this.#random;
    for (const target of random.some(this.collections, 2)) {
      const toMany = random.chance(0.35);
      const [field, name] = toMany ? [`${target.one}_ids`, `${target.one}List`] : [`${target.one}_id`, `${target.one}One`];
      const inverse = `${it.collection}Of${toMany ? "List" : "One"}`;
      const onDelete = random.chance(0.15) ? random.pick(["SET_NULL", "CASCADE"]) : undefined;
      it[toMany ? "toMany" : "toOne"].push({ field, name, target, inverse, onDelete });
      target.inverses.push({ name: inverse, source: it });
    }
  }

  /** What is declared of all collections, or of some. */
  sdl(collections = this.collections) {
    const declared = collections.map((it) => {
      const settings = [`name: "${it.collection}"`, ...(it.isPartial ? ["mode: PARTIAL"] : []), ...it.settings];
      const indexes = it.indexes.map((fields) => ` @index(fields: ${JSON.stringify(fields)})`).join("");
      const relations = [...it.toOne, ...it.toMany].map(({ field, name, target, inverse, onDelete }) => {
        const path = it.toMany.some((one) => one.name === name) ? `${field}[]` : field;
        const policy = onDelete ? `, onDelete: ${onDelete}` : "";
        return ` @relation(field: "${path}", to: "${target.collection}", name: "${name}", inverse: "${inverse}"${policy})`;
      });
      const fields = it.isPartial ? it.fields.filter((field) => field.declared).map((field) => `  ${field.name}: ${field.declared}`) : [];
      return `type ${it.type} @collection(${settings.join(", ")})${indexes}${relations.join("")} {\n  id: ID!\n${fields.join("\n")}\n}`;
    });
    return declared.join("\n");
  }

  id() {
    return `d${this.#random.below(IDS)}`;
  }

  /** A document of any shape. */
  document(it, id) {
    const random = this.#random;
    const document = id === undefined ? {} : { id };
    for (const field of it.fields) {
      if (random.chance(0.8)) document[field.name] = random.chance(0.06) ? null : field.value(random);
    }
    for (const { field } of it.toOne) if (random.chance(0.8)) document[field] = random.chance(0.05) ? null : this.id();
    for (const { field } of it.toMany) if (random.chance(0.8)) document[field] = list(random, 3, () => this.id());
    return document;
  }

  /** What the collection begins with. */
  documents(it) {
    const random = this.#random;
    const anchors = ANCHORS.map((id, index) => {
      const document = { id };
      for (const { name, kind, anchor, value } of it.fields) {
        const made = anchor ?? (kind === "mixed" ? [7, "seven"][index] : kind === "ratio" ? 0.5 : value(random));
        document[name] = Array.isArray(made) && made.length === 0 ? [kind === "tags" ? "ash" : 1] : made;
      }
      for (const { field } of it.toOne) document[field] = "d0";
      for (const { field } of it.toMany) document[field] = ["d0", "d1"];
      return document;
    });
    const rest = Array.from({ length: IDS }, (_, n) => `d${n}`).filter(() => random.chance(0.75));
    return [...anchors, ...rest.map((id) => this.document(it, id))];
  }

  /** A filter of documents of the collection. */
  filter(it, depth = 2) {
    const random = this.#random;
    const field = () => {
      const { name, filter } = random.pick(it.fields);
      return { [name]: filter(random) };
    };
    const related = () => {
      const relation = [...it.toOne, ...it.toMany, ...it.inverses];
      if (relation.length === 0 || depth === 0) return field();
      const { name, target, source } = random.pick(relation);
      const isOne = it.toOne.some((one) => one.name === name);
      const inner = this.filter(target ?? source, depth - 1);
      return { [name]: isOne ? inner : several(random, () => inner) };
    };
    const system = () =>
      random.pick([
        () => ({ id: { in: list(random, 4, () => this.id()) } }),
        () => ({ id: random.pick([{ eq: this.id() }, { gte: this.id() }, { startsWith: "d1" }]) }),
        () => ({ _version: random.pick([{ gt: 1 }, { eq: 2 }]) }),
      ])();
    const nested = () => {
      const inner = () => this.filter(it, depth - 1);
      return random.pick([() => ({ and: [inner(), inner()] }), () => ({ or: [inner(), inner()] }), () => ({ not: inner() })])();
    };
    const roll = random.next();
    const made = roll < 0.55 ? field() : roll < 0.75 ? related() : roll < 0.85 || depth === 0 ? system() : nested();
    return random.chance(0.25) ? { ...made, ...field() } : made;
  }

  /** An order of them. */
  order(it) {
    const random = this.#random;
    const direction = () => new Word(random.pick(["ASC", "DESC"]));
    const keys = it.fields.filter(({ ordered, order }) => ordered || order);
    const made = random.some(keys, 2).map(({ name, order }) => ({ [name]: order ? order(direction()) : direction() }));
    if (it.toOne.length > 0 && random.chance(0.15)) made.unshift({ [random.pick(it.toOne).name]: { number: direction() } });
    if (random.chance(0.15)) made.unshift({ [random.pick(["id", "_version", "_updatedAt"])]: direction() });
    return made;
  }
}
