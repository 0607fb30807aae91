// `node scripts/install.mjs FOLDER` packs this package and unpacks it into the `node_modules` of another one, as if it had
// been installed from a registry: what is tested there is what would be published, with the dependencies of that folder.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("name the folder to install into");

const here = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "thalweg-client-"));
try {
  const packed = execFileSync("npm", ["pack", "--silent", "--pack-destination", scratch], { cwd: here, encoding: "utf8" });
  // The last line names the archive; what the build prints may stand before it.
  const archive = join(scratch, packed.trim().split("\n").at(-1));
  const target = join(resolve(folder), "node_modules/@thalweg/client");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", archive, "-C", target, "--strip-components=1"], { stdio: "inherit" });
  console.log(`installed into ${target}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
