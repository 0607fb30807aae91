// The console in a headless Chromium, as a newcomer uses it. CHROMIUM names the browser (default /usr/bin/chromium).
// With SCREENSHOTS naming a folder, the console is pictured there after each step that shows something.

import { strict as assert } from "node:assert";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { TOP_RATED, lowRated, origin, run, topRated, unique, updateMovie } from "./server.mjs";

const LAUNCH = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

describe("the console", { timeout: 240_000 }, () => {
  let browser;
  /** Addresses that any page or worker asked for, and what pages complained about. */
  const requested = new Set();
  const complaints = [];

  before(async () => {
    browser = await chromium.launch(LAUNCH);
  });

  after(() => browser?.close());

  /** A new window with nothing stored, at the console, ready for typing. */
  async function open(options = {}) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
    context.on("request", (request) => requested.add(request.url()));
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    page.on("websocket", (socket) => requested.add(socket.url()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    await page.goto(origin);
    await page.locator(".graphiql-query-editor .view-line").first().waitFor();
    return page;
  }

  /** Replaces the text of the editor. A text must not begin with a bracket, which the editor would close by itself. */
  async function write(page, text) {
    await page.locator(".graphiql-query-editor .view-lines").click();
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.press("Delete");
    await page.keyboard.insertText(text);
    await page.keyboard.press("Escape");
  }

  /** Writes an operation into the editor and runs it with the button. */
  async function execute(page, text) {
    await write(page, text);
    await page.locator(".graphiql-execute-button").click();
  }

  const stop = (page) => page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();

  /** Waits until the result pane shows a text, or does not; only what a user sees counts. */
  async function shows(page, text) {
    const result = page.locator(".result-window .view-lines");
    // Monaco draws spaces as no-break spaces.
    await page.waitForFunction(
      ([lines, wanted]) => lines.textContent.replaceAll("\u00a0", " ").includes(wanted),
      [await result.elementHandle(), text],
    );
  }

  async function picture(page, name) {
    if (process.env.SCREENSHOTS) await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`) });
  }

  test("the default tab is a live query of the example, and runs", async () => {
    const page = await open();
    assert.equal(await page.title(), "Thalweg");
    await page.locator(".graphiql-execute-button").click();
    await page.locator(".console-badge.live").waitFor();
    await shows(page, (await topRated()).nodes[0].id);
    await picture(page, "live");
    await page.context().close();
  });

  test("a query is answered once", async () => {
    const page = await open();
    await execute(page, `query { ${TOP_RATED} }`);
    const { nodes, totalCount } = await topRated();
    await shows(page, nodes[0].id);
    await shows(page, `"totalCount": ${totalCount}`);
    await page.locator('.console-status[data-state="answered"]').waitFor();
    await page.context().close();
  });

  for (const [kind, text] of [
    ["query @live", `query @live { ${TOP_RATED} }`],
    ["subscription", `subscription { ${TOP_RATED} }`],
  ]) {
    test(`${kind}: the result changes on the page when another window writes`, async () => {
      const page = await open();
      const other = await open();
      const { id, Director } = (await topRated()).nodes[0];
      await execute(page, text);
      await shows(page, Director);

      const unrelated = await lowRated();
      await updateMovie(unrelated.id, { Director: unique("Nobody") });
      const director = unique("Director");
      await execute(other, `mutation { updateMovie(id: "${id}", patch: {Director: "${director}"}) { id Director } }`);
      await shows(other, director);
      await shows(page, director);
      await page.locator(".console-badge.live").waitFor();
      assert.equal(await page.locator(".console-events").textContent(), "2 events", "the unrelated write was sent, too");
      await picture(page, `changed-${kind.replace(/\W+/g, "-")}`);

      await stop(page);
      await page.locator('.console-status[data-state="ended"]').waitFor();
      await updateMovie(id, { Director });
      await updateMovie(unrelated.id, { Director: unrelated.Director });
      await Promise.all([page.context().close(), other.context().close()]);
    });
  }

  test("an error of a live query is shown", async () => {
    const page = await open();
    await execute(page, "subscription { movies { nodes { noSuchField } } }");
    await shows(page, "noSuchField");
    await shows(page, "VALIDATION_FAILED");
    await page.context().close();
  });

  test("the editor completes from the schema", async () => {
    const page = await open();
    await write(page, "");
    await page.keyboard.type("{ mov");
    await page.locator(".suggest-widget .monaco-list-row", { hasText: "movies" }).first().waitFor();
    await page.context().close();
  });

  test("an imported collection appears in an open console: header, types, completion", async () => {
    const page = await open();
    await page.locator('button[aria-label="Show Documentation Explorer"]').click();
    await page.locator(".graphiql-doc-explorer-content a", { hasText: /^MovieConnection$/ }).waitFor();

    const name = `e2e_${process.hrtime.bigint()}_probes`;
    const documents = [{ label: "first", depth: 3 }, { label: "second", depth: 7.5 }];
    const response = await fetch(`${origin}/import/${name}`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: documents.map((document) => `${JSON.stringify(document)}\n`).join(""),
    });
    assert.equal(response.status, 200);
    assert.equal((await response.json()).inserted, 2);
    const { collections } = await run("{ collections { name typeName listField } }");
    const { typeName, listField } = collections.find((collection) => collection.name === name);

    const chip = page.locator(".console-header nav button", { hasText: name });
    await chip.waitFor();
    await page.locator(".graphiql-doc-explorer-content a", { hasText: new RegExp(`^${typeName}$`) }).waitFor();
    await picture(page, "imported");

    await chip.click();
    await page.locator(".graphiql-execute-button").click();
    await shows(page, '"label": "second"');
    await write(page, "");
    await page.keyboard.type("{ e2e");
    await page.locator(".suggest-widget .monaco-list-row", { hasText: listField }).first().waitFor();
    await page.context().close();
  });

  test("the view of live queries: what is followed, by whom, what it costs and what wakes it", async () => {
    const editor = await open();
    const name = unique("Follow").replaceAll(" ", "");
    await execute(editor, `query ${name} @live { ${TOP_RATED} }`);
    await editor.locator(".console-badge.live").waitFor();

    const page = await open();
    await page.locator(".console-header a", { hasText: "live queries" }).click();
    assert.equal(new URL(page.url()).hash, "#live-queries");
    const row = page.locator(".console-table tbody tr:not(.console-details)", { hasText: name });
    await row.waitFor();
    assert.equal(await page.locator(".graphiql-container").isVisible(), false);
    const runs = () => row.locator("td").nth(3).textContent();
    assert.equal(await runs(), "0");

    // By the keyboard alone.
    await row.locator("button").focus();
    await page.keyboard.press("Enter");
    const details = page.locator(".console-details");
    await details.waitFor();
    assert.match(await details.locator("pre").first().textContent(), /IMDB_Rating/);
    assert.match(await details.locator("li").first().textContent(), /^movies "IMDB Rating" >= 8\.5/);

    // What it does is seen without reloading, and what was opened stays open.
    const { id, Director } = (await topRated()).nodes[0];
    await updateMovie(id, { Director: unique("Director") });
    await page.waitForFunction((cell) => cell.textContent !== "0", await row.locator("td").nth(3).elementHandle());
    await updateMovie(id, { Director });
    await details.waitFor();
    await picture(page, "live-queries");

    const order = page.locator("th", { hasText: "Subscribers" });
    assert.equal(await order.getAttribute("aria-sort"), "none");
    await order.locator("button").click();
    await page.locator('th[aria-sort="descending"]', { hasText: "Subscribers" }).waitFor();

    // A server that does not answer is told of, and what was known stays.
    await page.route("**/live?**", (route) => route.fulfill({ status: 503, json: { errors: [{ message: "not now" }] } }));
    await page.locator(".console-live-error", { hasText: "not now" }).waitFor();
    assert.equal(await row.count(), 1);
    await page.unroute("**/live?**");
    await page.locator(".console-live-error").waitFor({ state: "detached" });
    // The browser itself complains of the status.
    complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes("503")));

    // Its operation is not followed any more, so it goes; and the editor is as it was.
    await stop(editor);
    await row.waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.locator(".graphiql-query-editor").waitFor();
    assert.equal(new URL(page.url()).hash, "");
    await page.goBack();
    await page.locator(".console-live").waitFor();
    await Promise.all([page.context().close(), editor.context().close()]);
  });

  test("the dark theme follows the system", async () => {
    const page = await open({ colorScheme: "dark" });
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const channels = background.match(/\d+/g).slice(0, 3).map(Number);
    assert.ok(Math.max(...channels) < 90, `not dark: ${background}`);
    await picture(page, "dark");
    await page.context().close();
  });

  test("no page asked another host for anything, and none complained", () => {
    const { host } = new URL(origin);
    const foreign = [...requested].filter((address) => /^(https?|wss?):/.test(address) && new URL(address).host !== host);
    assert.ok(requested.size > 5, "requests were not recorded");
    assert.ok([...requested].some((address) => address.includes("worker-graphql")), "no editor worker was loaded");
    assert.deepEqual(foreign, []);
    assert.deepEqual(complaints, []);
  });
});
