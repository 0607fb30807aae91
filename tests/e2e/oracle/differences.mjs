// Where the server and graphql-js may differ, one by one, with the reason.

const differences = [
  {
    reason: "the parser in use lets the colon between a name and a value of an object be missing",
    holds: (expected, found) =>
      found.length === 0 && expected.every((error) => error.startsWith('syntax: Syntax Error: Expected ":"')),
  },
  {
    reason:
      "the validator in use does not see that a variable that may be null stands deep inside an object where null may not; " +
      "coercing its value does",
    holds: (expected, found) =>
      found.length === 0 && expected.every((error) => /^Variable "\$\w+" of type ".+" used in position expecting type ".+!"\.$/.test(error)),
  },
  {
    reason: "graphql-js fails on a condition with a variable at the root of a subscription, where it would have to say valid or not",
    holds: (expected) => expected.some((error) => error.startsWith("thrown: ")),
  },
  {
    reason: "a limit of the server's own, which a validator does not have",
    holds: (expected, found) => found.length > 0 && found.every((error) => error.startsWith("LIMIT_EXCEEDED")),
  },
];

/**
 * "same" if both accept or both refuse; else the reason why they may differ; `undefined` if there is none.
 * `expected` is what graphql-js says against the text, `found` what the server does.
 */
export function accepted(expected, found, text) {
  if ((expected.length === 0) === (found.length === 0)) return "same";
  return differences.find(({ holds }) => holds(expected, found, text))?.reason;
}
