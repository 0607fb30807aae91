// The licence texts of every package that contributed bytes to the bundle.

import { readFile, readdir } from "node:fs/promises";
import path from "node:path";

const LICENSE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** Texts that packages ship for code which they themselves have copied in. */
const FURTHER_NOTICES = { "monaco-editor": ["ThirdPartyNotices.txt"] };

/** Licences that allow the bundle to be shipped inside the binary; anything else stops the build. */
const ALLOWED = new Set(["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"]);

/**
 * One text with a section per licence text, headed by the packages that it belongs to, in the order of their names.
 * `inputs` are paths relative to `folder` as esbuild's metafile lists them.
 */
export async function thirdPartyLicenses(folder, inputs) {
  const folders = [...new Set(inputs.map(packageFolder).filter(Boolean))];
  const packages = await Promise.all(folders.map((relative) => describe(path.join(folder, relative))));
  packages.sort((a, b) => (a.title < b.title ? -1 : 1));
  const titlesByText = new Map();
  for (const { title, text } of packages) {
    titlesByText.set(text, new Set([...(titlesByText.get(text) ?? []), title]));
  }
  const rule = "-".repeat(80);
  const sections = [...titlesByText].map(([text, titles]) => `${rule}\n${[...titles].join("\n")}\n\n${text}\n`);
  return ["The console that Thalweg serves at / contains code from these packages.\n", ...sections].join("\n");
}

/** `node_modules/@scope/name` (the innermost one) of a file, or null for a file of ours. */
function packageFolder(file) {
  const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file);
  return match ? match[1] : null;
}

async function describe(folder) {
  const manifest = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
  const { name, version, license } = manifest;
  const title = `${name} ${version} (${license})`;
  if (!ALLOWED.has(license)) throw new Error(`${title}: the licence is not on the list`);
  const present = await readdir(folder);
  const wanted = [...present.filter((file) => LICENSE_FILE.test(file)).sort(), ...(FURTHER_NOTICES[name] ?? [])];
  const texts = await Promise.all(wanted.map((file) => readFile(path.join(folder, file), "utf8")));
  const text = texts.map((one) => one.replaceAll("\r\n", "\n").trim()).join("\n\n");
  return { title, text: text || withoutFile(manifest) };
}

/** Some packages name the MIT licence in their manifest alone; their authors stand for the copyright line. */
function withoutFile({ name, license, author, contributors, repository }) {
  if (license !== "MIT") throw new Error(`${name} comes without the text of its licence ${license}`);
  const people = [author, ...(contributors ?? [])]
    .filter(Boolean)
    .map((person) => (typeof person === "string" ? person : person.name));
  const holder = people.length > 0 ? people.join(", ") : `the contributors of ${repository?.url ?? repository ?? name}`;
  return `MIT License\n\nCopyright (c) ${holder}\n\n${MIT_TEXT}`;
}

const MIT_TEXT = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;
