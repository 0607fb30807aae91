// Valid operations over any schema, made at random: fields, arguments of every input type, aliases, fragments of both kinds,
// variables with and without defaults, `@skip` and `@include`, and the directives of the operation itself.

import {
  Kind,
  OperationTypeNode,
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  parseType,
} from "graphql";

const name = (value) => ({ kind: Kind.NAME, value });
const variable = (value) => ({ kind: Kind.VARIABLE, name: name(value) });
const booleanValue = (value) => ({ kind: Kind.BOOLEAN, value });
const intValue = (value) => ({ kind: Kind.INT, value: String(value) });
const stringValue = (value) => ({ kind: Kind.STRING, value });
const namedType = (value) => ({ kind: Kind.NAMED_TYPE, name: name(value) });

const TEXTS = ["", "a", "Drama", "x\"y\\z", "ä€😀", "1999-01-01", "1"];

/** What each custom scalar may be written as. Only who binds the values looks into them: to a validator any literal fits. */
const SCALARS = {
  Int: (random) => intValue(random.below(200) - 100),
  Float: (random) => (random.chance(0.5) ? intValue(random.below(100)) : { kind: Kind.FLOAT, value: random.pick(["1.5", "-0.25", "1e3"]) }),
  String: (random) => ({ ...stringValue(random.pick(TEXTS)), block: random.chance(0.1) }),
  Boolean: (random) => booleanValue(random.chance(0.5)),
  ID: (random) => (random.chance(0.5) ? intValue(random.below(1000)) : stringValue(random.pick(TEXTS))),
};

/** Any literal but null. */
const anything = (random, depth = 2) => {
  const kinds = [
    () => intValue(random.below(10)),
    () => stringValue(random.pick(TEXTS)),
    () => booleanValue(true),
  ];
  if (depth > 0) {
    kinds.push(
      () => ({ kind: Kind.LIST, values: [anything(random, depth - 1), anything(random, depth - 1)] }),
      () => ({ kind: Kind.OBJECT, fields: [{ kind: Kind.OBJECT_FIELD, name: name("k"), value: anything(random, depth - 1) }] }),
    );
  }
  return random.pick(kinds)();
};

export class Generator {
  #schema;
  #random;
  #options;
  // Of the document in the making:
  #variables;
  #fragments;
  #aliases;

  /**
   * `mayUse(parent, field, depth)` says which fields may be selected; `roots` which operation types; `withArguments: false`
   * leaves out every argument that is not required.
   */
  constructor(schema, random, { mayUse = () => true, roots = Object.values(OperationTypeNode), depth = 5, withArguments = true } = {}) {
    this.#schema = schema;
    this.#random = random;
    this.#options = { mayUse, roots, depth, withArguments };
  }

  /** A valid document, and the values that make its conditions (`@skip`, `@include`) work. */
  document() {
    this.#variables = new Map();
    this.#fragments = [];
    this.#aliases = 0;
    const random = this.#random;
    const roots = this.#options.roots.filter((root) => this.#schema.getRootType(root));
    // Queries are most of what there is.
    const operation = roots.includes("query") && random.chance(0.6) ? "query" : random.pick(roots);
    const root = this.#schema.getRootType(operation);
    const selectionSet =
      operation === "subscription"
        ? // On no condition: a subscription has exactly one root field.
          { kind: Kind.SELECTION_SET, selections: [this.#field(this.#fields(root, 0, 1)[0], 0, "", [])] }
        : this.#selectionSet(root, 0, "");
    const directives = [];
    if (operation === "query" && this.#schema.getDirective("live") && random.chance(0.1)) {
      directives.push({ kind: Kind.DIRECTIVE, name: name("live"), arguments: random.chance(0.5) ? [argument("if", booleanValue(random.chance(0.5)))] : [] });
    }
    const definitions = [...this.#variables.values()].map(({ definition }) => definition);
    const isShort = operation === "query" && definitions.length === 0 && directives.length === 0 && random.chance(0.2);
    const operationDefinition = {
      kind: Kind.OPERATION_DEFINITION,
      operation,
      name: isShort || random.chance(0.3) ? undefined : name("Generated"),
      variableDefinitions: definitions,
      directives,
      selectionSet,
    };
    const conditions = {};
    for (const [variableName, { value }] of this.#variables) if (value !== undefined) conditions[variableName] = value;
    const all = [operationDefinition, ...this.#fragments];
    return {
      ast: { kind: Kind.DOCUMENT, definitions: random.chance(0.3) ? all.toReversed() : all },
      conditions,
    };
  }

  /** `prefix` keeps the response names of unlike types apart that stand beside each other. */
  #selectionSet(type, depth, prefix) {
    const random = this.#random;
    const selections = [];
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of this.#fields(type, depth, depth === 0 ? 3 : 5)) {
        selections.push(this.#field(field, depth, prefix));
      }
    }
    if (selections.length === 0 || random.chance(0.15)) {
      selections.push({ kind: Kind.FIELD, name: name("__typename") });
    }
    for (const possible of this.#refinements(type)) {
      const inner = this.#selectionSet(possible, depth, possible === type ? prefix : `${possible.name}_`);
      const directives = this.#conditions();
      if (random.chance(0.5)) {
        const typeCondition = possible === type && random.chance(0.3) ? undefined : namedType(possible.name);
        selections.push({ kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet: inner });
      } else {
        const fragment = `Fragment${this.#fragments.length}`;
        this.#fragments.push({
          kind: Kind.FRAGMENT_DEFINITION,
          name: name(fragment),
          typeCondition: namedType(possible.name),
          selectionSet: inner,
        });
        const spread = { kind: Kind.FRAGMENT_SPREAD, name: name(fragment), directives };
        selections.push(spread);
        if (random.chance(0.2)) selections.push({ ...spread, directives: [] });
      }
    }
    // The same again, to be merged: what has arguments has an alias of its own, so nothing conflicts.
    if (random.chance(0.1)) selections.push(random.pick(selections));
    return { kind: Kind.SELECTION_SET, selections };
  }

  #fields(type, depth, count) {
    const { mayUse, depth: depthMax } = this.#options;
    const fields = Object.values(type.getFields()).filter(
      (field) => mayUse(type, field, depth) && (depth < depthMax || !isCompositeType(getNamedType(field.type))),
    );
    if (fields.length === 0) return [];
    // Below the root, half of what is selected leads further down.
    const composite = fields.filter((field) => isCompositeType(getNamedType(field.type)));
    const picked = this.#random.some(fields, count);
    if (composite.length > 0 && count > 1 && this.#random.chance(0.5)) picked.push(this.#random.pick(composite));
    return [...new Set(picked)];
  }

  #field(field, depth, prefix, directives = this.#conditions()) {
    const args = this.#arguments(field.args);
    const mustAlias = args.length > 0 || prefix !== "";
    const alias = mustAlias || this.#random.chance(0.15) ? name(`${prefix}a${(this.#aliases += 1)}`) : undefined;
    const type = getNamedType(field.type);
    return {
      kind: Kind.FIELD,
      alias,
      name: name(field.name),
      arguments: args,
      directives,
      // Without arguments or alias, what is selected below may be merged with another selection of the field.
      selectionSet: isCompositeType(type) ? this.#selectionSet(type, depth + 1, "") : undefined,
    };
  }

  /** Types that a fragment inside the type may have. */
  #refinements(type) {
    const random = this.#random;
    if (isInterfaceType(type) || isUnionType(type)) {
      return random.chance(0.7) ? random.some(this.#schema.getPossibleTypes(type), 2) : [];
    }
    return random.chance(0.12) ? [type] : [];
  }

  #conditions() {
    const random = this.#random;
    if (!random.chance(0.08)) return [];
    const directive = random.pick(["skip", "include"]);
    const value = random.chance(0.5) ? booleanValue(random.chance(0.5)) : this.#condition();
    return [{ kind: Kind.DIRECTIVE, name: name(directive), arguments: [argument("if", value)] }];
  }

  #condition() {
    const known = `c${this.#random.below(3)}`;
    if (!this.#variables.has(known)) {
      this.#variables.set(known, {
        definition: { kind: Kind.VARIABLE_DEFINITION, variable: variable(known), type: parseType("Boolean!") },
        value: this.#random.chance(0.5),
      });
    }
    return variable(known);
  }

  #arguments(args) {
    const random = this.#random;
    const given = args.filter((it) => isRequiredArgument(it) || (this.#options.withArguments && random.chance(0.3)));
    return given.map((it) => argument(it.name, this.#value(it.type, 3)));
  }

  #value(type, depth) {
    return this.#random.chance(0.25) ? this.#variable(type) : this.#literal(type, depth);
  }

  #variable(type) {
    const random = this.#random;
    const fresh = `v${this.#variables.size}`;
    const nullable = String(getNullableType(type));
    // A nullable variable with a default may stand where null may not.
    const hasDefault = random.chance(0.3);
    const declared = isNonNullType(type) && !hasDefault ? `${nullable}!` : random.chance(0.3) ? `${nullable}!` : nullable;
    this.#variables.set(fresh, undefined);
    const defaultValue = hasDefault ? this.#literal(getNullableType(type), 1, { isConst: true, isNull: false }) : undefined;
    this.#variables.set(fresh, {
      definition: { kind: Kind.VARIABLE_DEFINITION, variable: variable(fresh), type: parseType(declared), defaultValue },
    });
    return variable(fresh);
  }

  #literal(type, depth, { isConst = false, isNull = this.#random.chance(0.05) } = {}) {
    const random = this.#random;
    if (isNonNullType(type)) return this.#literal(type.ofType, depth, { isConst, isNull: false });
    if (isNull) return { kind: Kind.NULL };
    const inner = (of, less = 1) => (isConst ? this.#literal(of, depth - less, { isConst }) : this.#value(of, depth - less));
    if (isListType(type)) {
      // One item may stand for a list of one; null would be no list, though, and a variable has a type of its own.
      if (random.chance(0.2)) return this.#literal(type.ofType, depth, { isConst, isNull: false });
      const values = [];
      for (let left = random.below(depth > 0 ? 3 : 1); left > 0; left -= 1) values.push(inner(type.ofType));
      return { kind: Kind.LIST, values };
    }
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const chosen = depth > 0 ? random.some(fields, 3) : [];
      const wanted = fields.filter((field) => isRequiredInputField(field) || chosen.includes(field));
      return {
        kind: Kind.OBJECT,
        fields: wanted.map((field) => ({ kind: Kind.OBJECT_FIELD, name: name(field.name), value: inner(field.type) })),
      };
    }
    if (isEnumType(type)) return { kind: Kind.ENUM, value: random.pick(type.getValues()).name };
    if (SCALARS[type.name]) return SCALARS[type.name](random);
    return isConst ? stringValue("x") : anything(random);
  }
}

function argument(of, value) {
  return { kind: Kind.ARGUMENT, name: name(of), value };
}
