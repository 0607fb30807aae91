// A Prettier plugin that formats JSON with comments by means of jsonc-parser. GraphiQL formats the variables and
// headers through Prettier's JavaScript parser and printer, half a megabyte that this replaces.

import { applyEdits, format } from "jsonc-parser";

const OPTIONS = { tabSize: 2, insertSpaces: true, eol: "\n" };

export const parsers = {
  jsonc: {
    parse: (text) => ({ text: applyEdits(text, format(text, undefined, OPTIONS)) }),
    astFormat: "formatted-text",
    locStart: () => 0,
    locEnd: (node) => node.text.length,
  },
};

export const printers = {
  "formatted-text": { print: ({ node }) => node.text },
};
