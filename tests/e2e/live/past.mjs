// What the server says of a commit that has been: a time that names it, and any operation asked as of it.

import { Kind, TypeInfo, getNamedType, parse, parseType, print, visit, visitWithTypeInfo } from "graphql";

export const commitTsOf = (result) => result.extensions.thalweg.commitTs;

/** A commit as a time, which is microseconds since 1970. */
export function timeOf(commitTs) {
  const seconds = new Date(Number(BigInt(commitTs) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(BigInt(commitTs) % 1_000_000n).padStart(6, "0")}Z`;
}

/** A cursor is of the time at which it was made. */
export const withoutCursors = (data) =>
  JSON.parse(JSON.stringify(data, (key, value) => (/^(cursor|startCursor|endCursor)$/.test(key) ? undefined : value)));

const name = (value) => ({ kind: Kind.NAME, value });
const AT = { kind: Kind.VARIABLE, name: name("past") };

/**
 * Of a live operation, the query that asks for the same once: `now`, and `past` with a variable `$past` for the root fields that
 * take a time. Those that take none are named in `timeless`; where all are, there is no `past`.
 */
export function askedOnce(text, schema) {
  const document = parse(text);
  const types = new TypeInfo(schema);
  const roots = new Set([schema.getQueryType(), schema.getSubscriptionType()]);
  const timeless = new Set();
  let asked = 0;
  const once = visit(document, {
    OperationDefinition: (node) => ({
      ...node,
      operation: "query",
      directives: node.directives.filter((directive) => directive.name.value !== "live"),
    }),
    FragmentDefinition: (node) =>
      getNamedType(schema.getSubscriptionType())?.name === node.typeCondition.name.value
        ? { ...node, typeCondition: { kind: Kind.NAMED_TYPE, name: name(schema.getQueryType().name) } }
        : undefined,
  });
  const past = visit(
    once,
    visitWithTypeInfo(types, {
      Field: {
        enter(node) {
          if (!roots.has(types.getParentType())) return undefined;
          const field = types.getFieldDef();
          if (!field?.args.some((argument) => argument.name === "at")) {
            timeless.add(node.alias?.value ?? node.name.value);
            return node.name.value === "__typename" ? undefined : null;
          }
          asked += 1;
          return { ...node, arguments: [...node.arguments, { kind: Kind.ARGUMENT, name: name("at"), value: AT }] };
        },
      },
      OperationDefinition: {
        leave: (node) => ({
          ...node,
          variableDefinitions: [
            ...(node.variableDefinitions ?? []),
            { kind: Kind.VARIABLE_DEFINITION, variable: AT, type: parseType("DateTime") },
          ],
        }),
      },
    }),
  );
  return { now: print(once), past: asked > 0 ? print(past) : undefined, timeless };
}
