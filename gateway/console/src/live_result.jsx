// Lets a live result change in place. GraphiQL replaces the whole text of its result pane for every event, which
// would lose the scroll position and hide what is new; here only the lines that differ are replaced, and they
// light up for a moment.

import { useGraphiQL, useMonaco } from "@graphiql/react";
import { useEffect } from "react";
import { activity } from "./activity.js";
import { changedLines } from "./changed_lines.js";

const HIGHLIGHT_MS = 2_000;

export function LiveResult() {
  const editor = useGraphiQL((state) => state.responseEditor);
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => (editor && monaco ? changeInPlace(editor, monaco) : undefined), [editor, monaco]);
  return null;
}

function changeInPlace(editor, monaco) {
  const replaceAll = editor.setValue.bind(editor);
  const highlight = editor.createDecorationsCollection();
  let timer;
  editor.setValue = (text) => {
    const model = editor.getModel();
    clearTimeout(timer);
    highlight.clear();
    if (!model || activity.get().kind !== "live" || model.getValueLength() === 0 || text === "") {
      replaceAll(text);
      return;
    }
    const change = changedLines(model.getLinesContent(), text.split("\n"));
    if (!change) return;
    const { from, to, lines, fresh } = change;
    model.applyEdits([edit(model, monaco, from, to, lines)]);
    highlight.set(
      fresh.map((line) => ({
        range: new monaco.Range(line, 1, line, 1),
        options: { isWholeLine: true, className: "console-changed" },
      })),
    );
    timer = setTimeout(() => highlight.clear(), HIGHLIGHT_MS);
  };
  return () => {
    clearTimeout(timer);
    editor.setValue = replaceAll;
  };
}

/** Replaces the lines `from..to` (1-based, `to` exclusive) by `lines`; either side may be empty. */
function edit(model, monaco, from, to, lines) {
  const text = lines.join("\n");
  if (to <= model.getLineCount()) {
    return { range: new monaco.Range(from, 1, to, 1), text: lines.length > 0 ? `${text}\n` : "" };
  }
  const last = model.getLineCount();
  const end = model.getLineMaxColumn(last);
  if (from === 1) return { range: new monaco.Range(1, 1, last, end), text };
  const before = model.getLineMaxColumn(from - 1);
  return { range: new monaco.Range(from - 1, before, last, end), text: lines.length > 0 ? `\n${text}` : "" };
}
