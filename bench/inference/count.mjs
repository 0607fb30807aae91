// Counting what a tool has inferred. Everything is brought into the form of JSON Schema first, so that one counter counts all.

import { Kind, parse } from "graphql";

const NOTHING = { types: 0, fields: 0, untyped: 0, maps: 0, enums: 0 };

export const sum = (counts) =>
  counts.reduce((all, one) => Object.fromEntries(Object.keys(NOTHING).map((key) => [key, all[key] + one[key]])), NOTHING);

/**
 * - types: objects with named fields, each definition once;
 * - fields: their fields;
 * - untyped: places (fields, items, values of maps) of which the schema does not say one type: unions, any, only null, only empty.
 *   A type or null is one type;
 * - maps: objects whose keys are data;
 * - enums: strings of which the values are listed.
 */
export function countSchema(root) {
  const found = { ...NOTHING };
  const seen = new Set();
  const resolved = (schema) => (schema.$ref ? root.definitions[schema.$ref.split("/").at(-1)] : schema);
  const visit = (schema) => {
    if (schema.$ref) {
      if (seen.has(schema.$ref)) return;
      seen.add(schema.$ref);
      return visit(resolved(schema));
    }
    if (schema.enum) found.enums += 1;
    (schema.anyOf ?? []).forEach(visit);
    if (schema.properties) {
      found.types += 1;
      for (const place of Object.values(schema.properties)) {
        found.fields += 1;
        enter(place);
      }
    } else if (schema.additionalProperties) {
      found.maps += 1;
      enter(schema.additionalProperties);
    }
    if (schema.items) enter(schema.items);
  };
  const enter = (place) => {
    if (!isTyped(place)) found.untyped += 1;
    visit(place);
  };
  const isTyped = (place) => {
    const schema = resolved(place);
    if (schema.anyOf) {
      const others = schema.anyOf.filter(({ type }) => type !== "null");
      return others.length === 1 && isTyped(others[0]);
    }
    const kinds = [schema.type ?? []].flat().filter((kind) => kind !== "null");
    if (kinds.length !== 1) return false;
    if (kinds[0] === "array") return schema.items !== undefined;
    if (kinds[0] === "object") return Boolean(schema.properties || schema.additionalProperties);
    return true;
  };
  visit(root);
  return found;
}

/** The types of documents in an API schema, without what every collection has: system fields, and `id` where no document has one. */
export function schemasOf(sdl, collections) {
  const types = new Map(parse(sdl).definitions.filter(({ kind }) => kind === Kind.OBJECT_TYPE_DEFINITION).map((it) => [it.name.value, it]));
  const isCollection = (type) => type.directives.some(({ name }) => name.value === "collection");
  const named = (type) => (type.kind === Kind.NAMED_TYPE ? type.name.value : named(type.type));
  const schemaOf = (type) => {
    if (type.kind === Kind.NON_NULL_TYPE) return schemaOf(type.type);
    if (type.kind === Kind.LIST_TYPE) {
      const entry = types.get(named(type.type));
      if (entry?.fields.length === 2 && entry.fields[0].name.value === "key" && entry.name.value.endsWith("Entry")) {
        return { type: "object", additionalProperties: schemaOf(entry.fields[1].type) };
      }
      return { type: "array", items: schemaOf(type.type) };
    }
    if (type.name.value === "JSON") return {};
    const object = types.get(type.name.value);
    return object ? record(object, () => true) : { type: "scalar" };
  };
  const record = (object, isOfTheData) => ({
    type: "object",
    properties: Object.fromEntries(object.fields.filter(isOfTheData).map((field) => [field.name.value, schemaOf(field.type)])),
  });
  return Object.entries(collections).map(([collection, documents]) => {
    const type = [...types.values()].find((it) => isCollection(it) && isOf(it, collection));
    if (!type) throw new Error(`the SDL has no collection ${collection}`);
    return record(type, (field) => {
      const name = field.name.value;
      // Relations lead to other collections, and are no fields of the data.
      const target = types.get(named(field.type));
      const leadsOut = target && (field.arguments.length > 0 || isCollection(target));
      return !name.startsWith("_") && name !== "nodeId" && !leadsOut && (name !== "id" || "id" in documents[0]);
    });
  });
}

/** Whether a type is of a collection: it names it, or its name is the singular, as `Country` is of `countries`. */
function isOf(type, collection) {
  const given = type.directives.find(({ name }) => name.value === "collection").arguments.find(({ name }) => name.value === "name");
  if (given) return given.value.value === collection;
  const upper = collection[0].toUpperCase() + collection.slice(1);
  return [upper, upper.replace(/s$/, ""), upper.replace(/ies$/, "y")].includes(type.name.value);
}
