// Small changes to a document that mostly make it invalid, each in one way that a validator must notice. Which ones do is
// for the oracle to say: some changes leave a document valid, and then it has to be accepted.

import { Kind, TypeInfo, isInputType, parseType, print, visit, visitWithTypeInfo } from "graphql";

const name = (value) => ({ kind: Kind.NAME, value });
const field = (value) => ({ kind: Kind.FIELD, name: name(value) });

/** All nodes of these kinds. */
function nodesOf(ast, kinds) {
  const found = [];
  visit(ast, {
    enter(node) {
      if (kinds.includes(node.kind)) found.push(node);
    },
  });
  return found;
}

function changeOne(random, ast, kinds, change) {
  const nodes = nodesOf(ast, kinds);
  if (nodes.length === 0) return ast;
  const node = random.pick(nodes);
  const changed = change(node);
  // What is put in its place may contain it.
  let isDone = changed === node;
  return visit(ast, {
    enter(it) {
      if (isDone || it !== node) return undefined;
      isDone = true;
      return changed;
    },
  });
}

const VALUES = [Kind.INT, Kind.FLOAT, Kind.STRING, Kind.BOOLEAN, Kind.NULL, Kind.ENUM, Kind.LIST, Kind.OBJECT, Kind.VARIABLE];
const literals = [
  { kind: Kind.INT, value: "1" },
  { kind: Kind.INT, value: "-0" },
  { kind: Kind.INT, value: "2147483647" },
  { kind: Kind.INT, value: "2147483648" },
  { kind: Kind.INT, value: "-2147483648" },
  { kind: Kind.INT, value: "-2147483649" },
  { kind: Kind.INT, value: "-99999999999999999999" },
  { kind: Kind.FLOAT, value: "1.5" },
  { kind: Kind.FLOAT, value: "1.0" },
  // Not 1e400: the specification wants what no double can hold refused, and graphql-js takes it for infinity.
  { kind: Kind.FLOAT, value: "1e300" },
  { kind: Kind.STRING, value: "x" },
  { kind: Kind.STRING, value: "x", block: true },
  { kind: Kind.BOOLEAN, value: true },
  { kind: Kind.NULL },
  { kind: Kind.ENUM, value: "ASC" },
  { kind: Kind.ENUM, value: "NO_SUCH" },
  { kind: Kind.LIST, values: [] },
  { kind: Kind.LIST, values: [{ kind: Kind.NULL }] },
  { kind: Kind.LIST, values: [{ kind: Kind.INT, value: "1" }, { kind: Kind.LIST, values: [] }] },
  { kind: Kind.OBJECT, fields: [] },
  { kind: Kind.VARIABLE, name: name("v0") },
  { kind: Kind.VARIABLE, name: name("nowhere") },
];

/** Changes to the syntax tree: `(random, ast, schema) => ast`. */
const treeChanges = {
  "unknown field": (random, ast) => changeOne(random, ast, [Kind.FIELD], (node) => ({ ...node, name: name(`${node.name.value}x`) })),
  "another field": (random, ast, schema) => changeOne(random, ast, [Kind.FIELD], (node) => ({ ...node, name: name(anyField(random, schema)) })),
  "another argument": (random, ast) => changeOne(random, ast, [Kind.ARGUMENT], (node) => ({ ...node, name: name(random.pick(["id", "first", "filter", "input", "nothing"])) })),
  "argument twice": (random, ast) => changeOne(random, ast, [Kind.FIELD, Kind.DIRECTIVE], (node) => ({ ...node, arguments: [...(node.arguments ?? []), ...(node.arguments ?? [])] })),
  "argument missing": (random, ast) => changeOne(random, ast, [Kind.FIELD, Kind.DIRECTIVE], (node) => ({ ...node, arguments: (node.arguments ?? []).slice(1) })),
  "another value": (random, ast) => changeOne(random, ast, VALUES, () => random.pick(literals)),
  "values swapped": (random, ast) => {
    const values = nodesOf(ast, [Kind.INT, Kind.STRING, Kind.BOOLEAN, Kind.LIST, Kind.OBJECT, Kind.ENUM]);
    return values.length < 2 ? ast : changeOne(random, ast, VALUES, () => random.pick(values));
  },
  "no selection": (random, ast) => changeOne(random, ast, [Kind.FIELD], (node) => ({ ...node, selectionSet: undefined })),
  "selection of a leaf": (random, ast) => changeOne(random, ast, [Kind.FIELD], (node) => (node.selectionSet ? node : { ...node, selectionSet: { kind: Kind.SELECTION_SET, selections: [field("id")] } })),
  "alias of another": (random, ast) => {
    const names = nodesOf(ast, [Kind.FIELD]).map((node) => (node.alias ?? node.name).value);
    return changeOne(random, ast, [Kind.FIELD], (node) => ({ ...node, alias: name(random.pick(names)) }));
  },
  "selections side by side": (random, ast) => {
    const sets = nodesOf(ast, [Kind.SELECTION_SET]);
    return changeOne(random, ast, [Kind.SELECTION_SET], (node) => ({ ...node, selections: [...node.selections, ...random.pick(sets).selections] }));
  },
  "aliases left out": (random, ast) => visit(ast, { Field: (node) => (node.alias && random.chance(0.5) ? { ...node, alias: undefined } : undefined) }),
  "undefined variable": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => ({ ...node, variableDefinitions: (node.variableDefinitions ?? []).slice(1) })),
  "variable twice": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => ({ ...node, variableDefinitions: [...(node.variableDefinitions ?? []), ...(node.variableDefinitions ?? []).slice(0, 1)] })),
  "unused variable": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => ({ ...node, variableDefinitions: [...(node.variableDefinitions ?? []), variableDefinition("unused", "Int")] })),
  "another type of variable": (random, ast, schema) =>
    changeOne(random, ast, [Kind.VARIABLE_DEFINITION], (node) => {
      const type = named(random.pick(["Int", "String", "Boolean", "ID", "JSON", "Query", "Nowhere", random.pick(Object.keys(schema.getTypeMap()))]));
      return { ...node, type: random.chance(0.3) ? { kind: Kind.LIST_TYPE, type } : type, defaultValue: random.chance(0.5) ? undefined : node.defaultValue };
    }),
  "nullable variable": (random, ast) => changeOne(random, ast, [Kind.VARIABLE_DEFINITION], (node) => (node.type.kind === Kind.NON_NULL_TYPE ? { ...node, type: node.type.type } : { ...node, type: { kind: Kind.NON_NULL_TYPE, type: node.type } })),
  "default of a variable": (random, ast) => changeOne(random, ast, [Kind.VARIABLE_DEFINITION], (node) => ({ ...node, defaultValue: random.pick(literals.filter(({ kind }) => kind !== Kind.VARIABLE)) })),
  "directive": (random, ast) =>
    changeOne(random, ast, [Kind.FIELD, Kind.FRAGMENT_SPREAD, Kind.INLINE_FRAGMENT, Kind.OPERATION_DEFINITION, Kind.FRAGMENT_DEFINITION, Kind.VARIABLE_DEFINITION], (node) => {
      const directive = {
        kind: Kind.DIRECTIVE,
        name: name(random.pick(["skip", "include", "live", "deprecated", "specifiedBy", "collection", "nowhere"])),
        arguments: random.pick([[], [{ kind: Kind.ARGUMENT, name: name("if"), value: random.pick(literals) }]]),
      };
      return { ...node, directives: [...(node.directives ?? []), directive] };
    }),
  "deferred": (random, ast) =>
    changeOne(random, ast, [Kind.FRAGMENT_SPREAD, Kind.INLINE_FRAGMENT, Kind.FIELD], (node) => {
      const given = [
        { kind: Kind.ARGUMENT, name: name("if"), value: random.pick(literals) },
        { kind: Kind.ARGUMENT, name: name("label"), value: random.pick([{ kind: Kind.STRING, value: random.pick(["a", "b"]) }, random.pick(literals)]) },
      ];
      const directive = { kind: Kind.DIRECTIVE, name: name("defer"), arguments: given.filter(() => random.chance(0.4)) };
      return { ...node, directives: [...(node.directives ?? []), directive] };
    }),
  "all deferred": (random, ast) => {
    const directive = { kind: Kind.DIRECTIVE, name: name("defer"), arguments: [] };
    return visit(ast, { InlineFragment: (node) => (random.chance(0.5) ? { ...node, directives: [...(node.directives ?? []), directive] } : undefined) });
  },
  "directive twice": (random, ast) => changeOne(random, ast, [Kind.FIELD, Kind.FRAGMENT_SPREAD, Kind.INLINE_FRAGMENT, Kind.OPERATION_DEFINITION], (node) => ({ ...node, directives: [...(node.directives ?? []), ...(node.directives ?? [])] })),
  "unknown fragment": (random, ast) => changeOne(random, ast, [Kind.FRAGMENT_SPREAD], (node) => ({ ...node, name: name("Nowhere") })),
  "another fragment": (random, ast) => {
    const fragments = nodesOf(ast, [Kind.FRAGMENT_DEFINITION]);
    if (fragments.length === 0) return ast;
    return changeOne(random, ast, [Kind.SELECTION_SET], (node) => ({ ...node, selections: [...node.selections, { kind: Kind.FRAGMENT_SPREAD, name: random.pick(fragments).name }] }));
  },
  "fragment twice": (random, ast) => ({ ...ast, definitions: [...ast.definitions, ...nodesOf(ast, [Kind.FRAGMENT_DEFINITION]).slice(0, 1)] }),
  "fragment of no use": (random, ast) => ({ ...ast, definitions: [...ast.definitions, { kind: Kind.FRAGMENT_DEFINITION, name: name("Unused"), typeCondition: named("Query"), selectionSet: { kind: Kind.SELECTION_SET, selections: [field("__typename")] } }] }),
  "another type condition": (random, ast, schema) => changeOne(random, ast, [Kind.FRAGMENT_DEFINITION, Kind.INLINE_FRAGMENT], (node) => ({ ...node, typeCondition: named(random.pick(["Node", "Query", "String", "Nowhere", random.pick(Object.keys(schema.getTypeMap()))])) })),
  "operation twice": (random, ast) => ({ ...ast, definitions: [...ast.definitions, ...nodesOf(ast, [Kind.OPERATION_DEFINITION])] }),
  "operation beside it": (random, ast) => ({ ...ast, definitions: [...ast.definitions, { kind: Kind.OPERATION_DEFINITION, operation: "query", name: random.pick([undefined, name("Beside")]), selectionSet: { kind: Kind.SELECTION_SET, selections: [field("__typename")] } }] }),
  "another operation type": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => ({ ...node, operation: random.pick(["query", "mutation", "subscription"]) })),
  "root fields more": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => ({ ...node, selectionSet: { ...node.selectionSet, selections: [...node.selectionSet.selections, { ...field("__typename"), alias: name("more") }] } })),
  "input field": (random, ast) =>
    changeOne(random, ast, [Kind.OBJECT], (node) => {
      const key = random.pick(["eq", "id", "and", "nowhere", ...node.fields.map((it) => it.name.value)]);
      return { ...node, fields: [...node.fields, { kind: Kind.OBJECT_FIELD, name: name(key), value: random.pick(literals) }] };
    }),
  "input field missing": (random, ast) => changeOne(random, ast, [Kind.OBJECT], (node) => ({ ...node, fields: node.fields.slice(1) })),
  "introspection": (random, ast) => changeOne(random, ast, [Kind.SELECTION_SET], (node) => ({ ...node, selections: [...node.selections, random.pick(introspections)] })),
  "selected again with another argument": (random, ast) => selectedAgain(random, ast, (value) => random.pick([random.pick(literals), value])),
  "selected again with another list": (random, ast) =>
    selectedAgain(random, ast, (value) => (value.kind === Kind.LIST ? { ...value, values: random.pick([[], [...value.values, ...value.values.slice(0, 1)], value.values.slice(1)]) } : value)),
  "selected again with a block string": (random, ast) =>
    selectedAgain(random, ast, (value) => visit(value, { StringValue: (node) => (random.chance(0.5) ? { ...node, block: !node.block } : undefined) })),
  "selected again in a fragment": (random, ast) =>
    changeOne(random, ast, [Kind.SELECTION_SET], (node) => {
      const again = visit(random.pick(node.selections), { Field: (it) => (random.chance(0.2) ? { ...it, arguments: [] } : undefined) });
      const fragment = { kind: Kind.INLINE_FRAGMENT, selectionSet: { kind: Kind.SELECTION_SET, selections: [again] } };
      return { ...node, selections: [...node.selections, fragment] };
    }),
  "type name by another's name": (random, ast) => {
    const names = nodesOf(ast, [Kind.FIELD]).map((node) => (node.alias ?? node.name).value);
    const typename = { ...field("__typename"), alias: name(random.pick(names)) };
    return changeOne(random, ast, [Kind.SELECTION_SET], (node) => ({ ...node, selections: [...node.selections, typename] }));
  },
  "field by the name of the type's": (random, ast) => changeOne(random, ast, [Kind.FIELD], (node) => ({ ...node, alias: name("__typename") })),
  "variable instead": (random, ast, schema) => {
    const value = pickOne(random, ast, VALUES);
    const operation = pickOne(random, ast, [Kind.OPERATION_DEFINITION]);
    if (!value || !operation) return ast;
    const inputs = Object.values(schema.getTypeMap()).filter((type) => isInputType(type) && !type.name.startsWith("__"));
    let type = named(random.pick(["Int", "String", "Boolean", "ID", "JSON", random.pick(inputs).name]));
    for (const wrapper of [Kind.NON_NULL_TYPE, Kind.LIST_TYPE, Kind.NON_NULL_TYPE]) {
      if (random.chance(0.3)) type = { kind: wrapper, type };
    }
    return withVariable(random, ast, value, operation, type);
  },
  "variable of a type that may fit": (random, ast, schema) => {
    const places = placesOf(ast, schema);
    const operation = pickOne(random, ast, [Kind.OPERATION_DEFINITION]);
    if (places.length === 0 || !operation) return ast;
    const { value, type } = random.pick(places);
    const changed = random.pick([type, type.replace(/!$/, ""), `${type.replace(/!$/, "")}!`, `[${type}]`, type.replaceAll("!", ""), type.replaceAll(/[[\]!]/g, "")]);
    return withVariable(random, ast, value, operation, parseType(changed));
  },
  "null instead": (random, ast) => changeOne(random, ast, VALUES, () => ({ kind: Kind.NULL })),
  "condition at the root": (random, ast) =>
    changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => {
      const condition = { kind: Kind.DIRECTIVE, name: name(random.pick(["skip", "include"])), arguments: [{ kind: Kind.ARGUMENT, name: name("if"), value: { kind: Kind.BOOLEAN, value: random.chance(0.5) } }] };
      const fragment = { kind: Kind.INLINE_FRAGMENT, directives: random.chance(0.5) ? [condition] : [], selectionSet: node.selectionSet };
      return { ...node, selectionSet: { kind: Kind.SELECTION_SET, selections: random.pick([[fragment], [...node.selectionSet.selections, fragment]]) } };
    }),
  "subscription": (random, ast) => changeOne(random, ast, [Kind.OPERATION_DEFINITION], (node) => (node.operation === "query" ? { ...node, operation: "subscription", directives: [] } : node)),
  "description": (random, ast) =>
    changeOne(random, ast, [Kind.OPERATION_DEFINITION, Kind.FRAGMENT_DEFINITION, Kind.VARIABLE_DEFINITION], (node) => ({
      ...node,
      description: { kind: Kind.STRING, value: random.pick(["", "what it is", "é\"\\ \n#"]), block: random.chance(0.5) },
    })),
  "fragment that spreads itself": (random, ast) =>
    changeOne(random, ast, [Kind.FRAGMENT_DEFINITION], (node) => {
      const spread = { kind: Kind.FRAGMENT_SPREAD, name: node.name };
      return { ...node, selectionSet: { ...node.selectionSet, selections: [...node.selectionSet.selections, spread] } };
    }),
  "type definition": (random, ast) => ({ ...ast, definitions: [...ast.definitions, { kind: Kind.SCALAR_TYPE_DEFINITION, name: name("Fresh") }] }),
};

/** Selects a field twice, the second time with one of its arguments changed. */
function selectedAgain(random, ast, change) {
  const node = random.pick(nodesOf(ast, [Kind.FIELD]).filter((it) => it.arguments?.length > 0));
  if (!node) return ast;
  const changed = random.pick(node.arguments);
  const again = { ...node, arguments: node.arguments.map((it) => (it === changed ? { ...it, value: change(it.value) } : it)) };
  return visit(ast, {
    SelectionSet: (set) => (set.selections.includes(node) ? { ...set, selections: [...set.selections, again] } : undefined),
  });
}

function pickOne(random, ast, kinds) {
  const nodes = nodesOf(ast, kinds);
  return nodes.length === 0 ? undefined : random.pick(nodes);
}

/** A variable of the type in the place of the value, defined by the operation. */
function withVariable(random, ast, value, operation, type) {
  const definition = {
    kind: Kind.VARIABLE_DEFINITION,
    variable: { kind: Kind.VARIABLE, name: name("instead") },
    type,
    defaultValue: random.chance(0.3) ? random.pick([{ kind: Kind.NULL }, ...literals.filter(({ kind }) => kind !== Kind.VARIABLE)]) : undefined,
  };
  let isDone = false;
  return visit(ast, {
    enter(node) {
      if (isDone || node !== value) return undefined;
      isDone = true;
      return definition.variable;
    },
    OperationDefinition: {
      leave: (node) => (node.name?.value === operation.name?.value ? { ...node, variableDefinitions: [...(node.variableDefinitions ?? []), definition] } : undefined),
    },
  });
}

/** The values of a document, each with the type that is expected of it. */
function placesOf(ast, schema) {
  const places = [];
  const info = new TypeInfo(schema);
  visit(
    ast,
    visitWithTypeInfo(info, {
      enter(node) {
        if (VALUES.includes(node.kind) && info.getInputType()) places.push({ value: node, type: String(info.getInputType()) });
      },
    }),
  );
  return places;
}

const introspections = [
  { ...field("__schema"), selectionSet: { kind: Kind.SELECTION_SET, selections: [{ ...field("queryType"), selectionSet: { kind: Kind.SELECTION_SET, selections: [field("name")] } }] } },
  { ...field("__type"), arguments: [{ kind: Kind.ARGUMENT, name: name("name"), value: { kind: Kind.STRING, value: "Query" } }], selectionSet: { kind: Kind.SELECTION_SET, selections: [field("kind")] } },
  { ...field("__type"), selectionSet: { kind: Kind.SELECTION_SET, selections: [field("kind")] } },
  field("__schema"),
];

/** Changes to the text, mostly to its syntax. */
const textChanges = {
  "a character less": (random, text) => cut(random, text, 1, ""),
  "a word less": (random, text) => {
    const words = [...text.matchAll(/\w+|[^\s\w]/g)];
    const { index, 0: word } = random.pick(words);
    return text.slice(0, index) + text.slice(index + word.length);
  },
  "a character more": (random, text) => cut(random, text, 0, random.pick([..."{}()[]!:$@&|=.,\"#-0a \n\t\u00a0\ufeff\u0000é😀", "...", "\"\"\"", "null", "on", "{}", "()", "[]"])),
  "a colon less": (random, text) => {
    const colons = [...text.matchAll(/:/g)];
    if (colons.length === 0) return text;
    const { index } = random.pick(colons);
    return text.slice(0, index) + text.slice(index + 1);
  },
  "a value less": (random, text) => text.replace(/: ?("[^"\n]*"|[\w.-]+)/, () => random.pick(["", ":", " "])),
  "a comment": (random, text) => {
    const gaps = [...text.matchAll(/[\s(){}:]/g)];
    const { index } = random.pick(gaps);
    return `${text.slice(0, index)}#: "(\n${text.slice(index)}`;
  },
  "a description": (random, text) => {
    const starts = [...text.matchAll(/\$|\b(query|mutation|subscription|fragment)\b|\{/g)];
    const { index } = random.pick(starts);
    return text.slice(0, index) + random.pick(["\"what\" ", "\"\"\"what\n\"\"\"", "\"one\" \"two\" "]) + text.slice(index);
  },
  "end missing": (random, text) => text.slice(0, random.below(text.length)),
  "one number more": (random, text) => cut(random, text, 0, random.pick(["0", "00", "1.", "-", "1e", "0x1", "1_000"])),
  "escape": (random, text) => text.replace(/"[^"\n]*"/, random.pick(["\"\\u00e9\"", "\"\\u{1F600}\"", "\"\\uD83D\\uDE00\"", "\"\\uD83D\"", "\"\\x\"", "\"a\nb\"", "\"\"\"a\nb\"\"\"", "\"\\u{110000}\"", "\"\t\""])),
  "case": (random, text) => text.replace(/\b(query|mutation|fragment|on|true|null)\b/, (word) => word.toUpperCase()),
};

function cut(random, text, length, insert) {
  const at = random.below(text.length);
  return text.slice(0, at) + insert + text.slice(at + length);
}

function anyField(random, schema) {
  const types = Object.values(schema.getTypeMap()).filter((type) => type.getFields && !type.name.startsWith("__"));
  return random.pick(Object.keys(random.pick(types).getFields()));
}

function named(type) {
  return { kind: Kind.NAMED_TYPE, name: name(type) };
}

function variableDefinition(of, type) {
  return { kind: Kind.VARIABLE_DEFINITION, variable: { kind: Kind.VARIABLE, name: name(of) }, type: named(type) };
}

/** The text of the document after one change, or two; with what was done. */
export function mutated(random, ast, schema) {
  const done = [];
  let changed = ast;
  for (let left = random.chance(0.2) ? 2 : 1; left > 0; left -= 1) {
    const change = random.pick(Object.keys(treeChanges));
    done.push(change);
    changed = treeChanges[change](random, changed, schema);
  }
  let text = print(changed);
  if (random.chance(0.25)) {
    const change = random.pick(Object.keys(textChanges));
    done.push(change);
    text = textChanges[change](random, text);
  }
  return { text, done };
}
