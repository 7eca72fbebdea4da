// What a reader sees and clicks: `browser.mjs SCENARIO ADDRESS …`. It ends with 1 if anything is not as it should be. On every page
// it looks for errors on the console, requests to anywhere else, what the page's own policy has stopped, and secrets in what the
// server has answered.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.LIFEBOAT_TEST_BROWSER}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [scenario, address, ...more] = process.argv.slice(2);
// Nothing that is waited for takes nearly as long; the machine may be busy.
const LONG = 600_000;
const REBOUND = "evil.example";
// They are in the recorded configurations.
const SECRETS = ["alice-secret-key", "PRIVATE KEY"];

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`],
});

/** A page on which everything that a page must not do is noted. */
async function open(path, { readsAnswers = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 850 }, ...options });
  context.setDefaultTimeout(LONG);
  const page = await context.newPage();
  const [wrong, answers] = [[], []];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${address}/`)) wrong.push(`a request to ${request.url()}`);
  });
  // What a closed page was still being sent is gone with it. WebAssembly has the words by which it knows secrets.
  const body = (response) => response.body().then(String, () => "");
  const isRead = (response) => readsAnswers && !response.url().endsWith(".wasm");
  page.on("response", (response) => isRead(response) && answers.push(body(response).then((said) => [response.url(), said])));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(address + path, { timeout: LONG });
  page.isRight = async () => {
    for (const [url, said] of await Promise.all(answers)) for (const secret of SECRETS) if (said.includes(secret)) wrong.push(`${secret} in ${url}`);
    assert.deepEqual(wrong, []);
    await context.close();
  };
  return page;
}

/** What axe finds, in light and in dark. It is injected, which the page's policy forbids: here the policy is off. */
async function isAccessible(path, prepare = async () => {}) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(path, { bypassCSP: true, colorScheme, reducedMotion: "reduce" });
    await prepare(page);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
    assert.deepEqual(found, [], `axe, ${path}, ${colorScheme}`);
    await page.context().close();
  }
}

async function picture(page, name) {
  await page.screenshot({ path: `${process.env.LIFEBOAT_TEST_SCREENSHOTS}/${name}.png` });
}

const text = (page, selector) => page.locator(selector).innerText();

async function compared(page) {
  await page.click("#go");
  await page.waitForFunction(() => document.querySelector("#result h2") || !document.querySelector("#go").disabled, undefined, { timeout: LONG });
  return text(page, "#progress");
}

// A browser also asks for nothing where the views are plain HTML.
async function worksWithoutScripts() {
  for (const [path, expected] of [["/", "What the alerts say"], ["/history", "Kong 3.9.1"]]) {
    const page = await open(path, { javaScriptEnabled: false });
    assert.match(await text(page, "main"), new RegExp(expected));
    await page.isRight();
  }
}

async function views(file) {
  const now = await open("/");
  assert.match(await text(now, "#standing"), /The control plane answers\. New nodes of Kong 3\.9\.1 would get snapshot 2/);
  assert.match(await text(now, "main"), /LifeboatConfigurationHeld/);
  await now.waitForFunction(() => document.querySelector("main").innerText.includes("lifeboat release 3 --kong-version 3.9.1"));
  // The relay may have looked for a backup just before there was one; it looks again.
  await now.waitForFunction(() => !document.querySelector("main").innerText.includes("LifeboatNodesWithoutBackup"));
  await picture(now, "now");

  // By the keyboard alone: past the views to the content, and to another view.
  await now.keyboard.press("Tab");
  await now.keyboard.press("Enter");
  assert.equal(await now.evaluate(() => document.activeElement.id), "main");
  await now.getByRole("link", { name: "History" }).focus();
  await now.keyboard.press("Enter");
  await now.waitForURL(`${address}/history`);
  assert.match(await text(now, "tbody tr:first-child"), /^3\s+held/);
  assert.match(await text(now, "tbody tr:nth-child(2)"), /published/);
  assert.match(await text(now, "main"), /lifeboat release 3 --kong-version 3\.9\.1/);
  await picture(now, "history");
  await now.getByRole("link", { name: "with 2" }).last().click();
  await now.waitForURL(/compare/);

  assert.equal(await text(now, "#command"), "lifeboat diff 1 2 --kong-version 3.9.1");
  assert.match(await compared(now), /1 added, 0 removed, 0 changed/);
  assert.match(await text(now, "#changes"), /added\s*routes:/);
  await picture(now, "compare");

  // What is in the file is what snapshot 2 is: only its secrets can't be compared.
  await now.selectOption("#before", "file");
  assert.match(await compared(now), /Choose the file first/);
  await now.setInputFiles("#before-file", file);
  const [before, after] = await Promise.all([now.waitForRequest(/configuration/).then((request) => request.url()), compared(now)]);
  assert.match(after, /0 added, 0 removed, 0 changed.*Secrets that were not compared: [1-9]/);
  assert.equal(before, `${address}/page/configuration/3.9.1/2`);
  // What the worker was given can't be read from outside; the page itself is given the same.
  const given = await now.evaluate(() => fetch("/page/configuration/3.9.1/2").then((answer) => answer.text()));
  assert.match(given, /"key":"\(masked /);
  for (const secret of SECRETS) assert.ok(!given.includes(secret), secret);
  await now.isRight();

  await worksWithoutScripts();
  await isAccessible("/");
  await isAccessible("/history");
  await isAccessible("/compare?version=3.9.1&before=1&after=2", compared);
  await strangers();
}

// Another origin, and a name that somebody else has made to lead here.
async function strangers() {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html><title>x</title>"));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const got = await page.evaluate(async (address) => {
    const fetched = (options) => fetch(`${address}/status`, options).then((answer) => `${answer.type} ${answer.status}`, () => "refused");
    const loaded = (name, source) =>
      new Promise((resolve) => {
        const element = document.createElement(name);
        element.onload = () => resolve("loaded");
        element.onerror = () => resolve("refused");
        element.src = address + source;
        document.body.append(element);
      });
    return {
      cors: await fetched({}),
      opaque: await fetched({ mode: "no-cors" }),
      script: await loaded("script", "/page/page.js"),
      image: await loaded("img", "/page/icon.svg"),
    };
  }, address);
  assert.deepEqual(got, { cors: "refused", opaque: "refused", script: "refused", image: "refused" });
  const framed = page.waitForResponse(`${address}/`);
  await page.evaluate((address) => document.body.append(Object.assign(document.createElement("iframe"), { src: `${address}/` })), address);
  assert.equal((await framed).status(), 403);

  const rebound = await page.goto(address.replace("127.0.0.1", REBOUND));
  assert.equal(rebound.status(), 421);
  await context.close();
  server.close();
}

async function outage() {
  const page = await open("/");
  assert.match(await text(page, "#standing"), /The control plane answers/);
  await page.getByRole("button", { name: "Find" }).focus();
  console.log("the page is open");
  await page.waitForFunction(() => /The control plane is away\..*runs? a configuration from the store/s.test(document.querySelector("#standing").innerText));
  assert.match(await text(page, "main"), /LifeboatNodesServedFromStore/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Find", "the reader's place was lost");
  assert.equal(await page.evaluate(() => performance.getEntriesByType("navigation").length), 1);
  await page.evaluate(() => scrollTo(0, 0));
  await picture(page, "outage");
  await page.isRight();
  await isAccessible("/");
}

async function crowd(nodes) {
  const page = await open("/");
  assert.match(await text(page, "dl"), new RegExp(`Nodes connected\\s+${nodes}`));
  assert.equal(await page.locator("div[aria-labelledby=nodes] tbody tr").count(), 100);
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForURL(/part=2/);
  assert.match(await text(page, "main"), new RegExp(`101 to 200 of ${nodes}`));
  const id = await page.locator("div[aria-labelledby=nodes] tbody th").first().getAttribute("title");
  await page.fill("#node", id);
  await page.getByRole("button", { name: "Find" }).click();
  await page.waitForURL(/node=/);
  assert.match(await text(page, "main"), /1 to 1 of 1/);
  const size = await page.evaluate(() => document.documentElement.outerHTML.length);
  assert.ok(size < 100_000, `${size} bytes for one node`);
  await page.isRight();
  await isAccessible("/");
}

async function history(snapshots) {
  const page = await open("/history");
  assert.equal(await page.locator("tbody tr").count(), Number(snapshots));
  assert.match(await text(page, "tbody tr:first-child"), /published/);
  await page.isRight();
  await isAccessible("/history");
}

async function large() {
  const page = await open("/compare?version=3.9.1&before=1&after=2", { readsAnswers: false });
  await page.evaluate(() => {
    globalThis.gaps = [];
    let last = performance.now();
    setInterval(() => {
      globalThis.gaps.push(performance.now() - last);
      last = performance.now();
    }, 50);
  });
  const begun = Date.now();
  const said = compared(page);
  // A reader who chooses meanwhile is answered, while the comparison goes on.
  await page.waitForFunction(() => document.querySelector("#progress").textContent.includes("reading it"));
  await page.selectOption("#after", "3.9.1/1");
  assert.equal(await text(page, "#command"), "lifeboat diff 1 1 --kong-version 3.9.1");
  assert.equal(await page.locator("#go").isDisabled(), true, "it was over already: nothing was shown");
  assert.match(await said, /[1-9]\d* added, /);
  const took = Date.now() - begun;
  const gaps = await page.evaluate(() => globalThis.gaps);
  const longest = Math.max(...gaps);
  console.log(`compared in ${took} ms; the page answered after ${Math.round(longest)} ms at most`);
  // In the page itself, the comparison would be one gap.
  assert.ok(longest < took / 4 && gaps.length > 20, `the page did not answer for ${longest} ms`);
  assert.equal(await page.locator(".change").count() <= 200, true);
  await page.isRight();
}

try {
  await { views, outage, crowd, history, large }[scenario](...more);
} finally {
  await browser.close();
}
