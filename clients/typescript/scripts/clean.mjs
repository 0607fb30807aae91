// Removes what an earlier build has made, so that a module that is gone is not packed.

import { rmSync } from "node:fs";

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
