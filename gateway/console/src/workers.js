// Tells Monaco where its workers are: beside this script, as ES modules of the same origin.
// WORKER_FILES is filled in by the build, because the names carry a hash.

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const file = WORKER_FILES[label] ?? WORKER_FILES.editor;
    return new Worker(new URL(file, import.meta.url), { type: "module", name: label });
  },
};
