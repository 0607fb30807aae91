// Which operations go over the socket.

import type { DocumentNode, OperationDefinitionNode } from "graphql";

/** Whether an operation has more than one result to tell: a subscription, or a query that is `@live` with these variables. */
export function isLive(document: DocumentNode, operationName: string | undefined, variables: Readonly<Record<string, unknown>>): boolean {
  const operations = document.definitions.filter((it): it is OperationDefinitionNode => it.kind === "OperationDefinition");
  const operation = operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName);
  if (operation?.operation !== "query") return operation?.operation === "subscription";
  const directive = operation.directives?.find(({ name }) => name.value === "live");
  if (!directive) return false;
  const condition = directive.arguments?.find(({ name }) => name.value === "if")?.value;
  if (condition?.kind === "BooleanValue") return condition.value;
  if (condition?.kind !== "Variable") return true;
  const { value: variable } = condition.name;
  if (Object.hasOwn(variables, variable)) return variables[variable] === true;
  const fallback = operation.variableDefinitions?.find((it) => it.variable.name.value === variable)?.defaultValue;
  return fallback?.kind !== "BooleanValue" || fallback.value;
}
