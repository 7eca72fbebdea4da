// What the views do where scripts run. Now and History stay current: the server makes the HTML, and here it is only asked for
// again and put in place of the old. Compare lets a worker compare, and shows what it has found.

const $ = (id) => document.getElementById(id);
const view = document.querySelector("nav a[aria-current]").getAttribute("href");

// ---- Staying current

const EVERY = { "/": 5000, "/history": 30000 }[view];
let newest = Date.now();

/** The same page as it is now, parsed by the browser without running anything in it. */
function load() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname + location.search);
    request.responseType = "document";
    request.timeout = 20000;
    request.onload = () => {
      const isPage = request.status === 200 && request.response?.getElementById("main");
      return isPage ? resolve(request.response) : reject(new Error(`status ${request.status}`));
    };
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

/** Makes `old` look as `now` does and touches only what differs, so that focus, selection and scroll position stay. */
function become(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) {
    old.replaceWith(document.adoptNode(now));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }

  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
  const [before, after] = [[...old.childNodes], [...now.childNodes]];
  after.forEach((child, at) => (before[at] ? become(before[at], child) : old.append(document.adoptNode(child))));
  before.slice(after.length).forEach((child) => child.remove());
}

function tellFreshness(text, isStale) {
  const fresh = $("fresh");
  fresh.textContent = text;
  fresh.classList.toggle("stale", isStale);
}

function clock() {
  return `${new Date(newest).toISOString().slice(11, 19)} UTC`;
}

async function refresh() {
  // Nobody is asked for a page that no one sees, and a reader who types is not disturbed.
  if (document.hidden || document.activeElement?.matches("input")) return;
  try {
    const page = await load();
    become($("main"), page.getElementById("main"));
    newest = Date.now();
    tellFreshness(`As of ${clock()}`, false);
  } catch (problem) {
    tellFreshness(`Not current since ${clock()}: ${problem.message}`, true);
  }
}

async function stayCurrent() {
  tellFreshness(`As of ${clock()}`, false);
  document.addEventListener("visibilitychange", refresh);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    await refresh();
  }
}

// ---- Comparing

const SHOWN = 200;
const LONGEST = 160;
// The one script that is started from here. Browsers with Trusted Types start no other.
const rules = { createScriptURL: () => "/page/worker.js" };
const scripts = globalThis.trustedTypes?.createPolicy("lifeboat", rules) ?? rules;
let worker;

/** An element with children, which are elements or text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** What is chosen on one side, or what is missing there. */
function side(id) {
  const option = $(id).selectedOptions[0];
  const file = $(`${id}-file`).files[0];
  if (option.value !== "file") {
    const [version, sequence] = option.value.split("/");
    return { version, sequence, name: `snapshot ${sequence}`, argument: sequence, bytes: Number(option.dataset.bytes) };
  }
  return { file, name: file?.name ?? "", argument: `file:${file ? quoted(file.name) : "PATH"}`, bytes: file?.size ?? 0 };
}

function quoted(text) {
  return /^[\w.,/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function showChoice() {
  for (const id of ["before", "after"]) $(`${id}-file`).parentElement.hidden = $(id).value !== "file";
  const [before, after] = [side("before"), side("after")];
  const version = before.version ?? after.version;
  $("command").textContent = `lifeboat diff ${before.argument} ${after.argument}${version ? ` --kong-version ${version}` : ""}`;
}

function tell(text, part) {
  $("progress").textContent = text;
  $("bar").hidden = part === null;
  if (typeof part === "number") $("bar").value = part;
  else $("bar").removeAttribute("value");
}

function end(text) {
  worker?.terminate();
  worker = undefined;
  tell(text, null);
  $("go").disabled = false;
}

function begin(event) {
  event.preventDefault();
  const [before, after] = [side("before"), side("after")];
  const version = before.version ?? after.version;
  const largest = Number($("choice").dataset.largest);
  $("result").replaceChildren();
  if ([before, after].some(({ argument, file }) => argument.startsWith("file:") && !file)) return tell("Choose the file first.", null);
  if (!version) return tell("Choose a snapshot on one side: it says for which version of Kong the file is.", null);
  if (Math.max(before.bytes, after.bytes) > largest)
    return tell(`More than ${largest / 1e6} MB are too much for a browser. The command below does it.`, null);

  $("go").disabled = true;
  tell("loading the comparison", undefined);
  worker = new Worker(scripts.createScriptURL(""), { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.problem) end(data.problem);
    else if (data.result) show(JSON.parse(data.result), before, after);
    else tell(data.progress, data.part);
  };
  worker.onerror = (event) => end(`The comparison could not be run: ${event.message ?? "its files did not load"}.`);
  worker.postMessage({ before: { ...before, version }, after: { ...after, version } });
}

function show(found, before, after) {
  const { added, removed, changed, unchanged } = found.counts;
  const secrets = found.secrets_not_compared;
  const counts = `${added} added, ${removed} removed, ${changed} changed, ${unchanged} unchanged`;
  end(`${before.name} compared with ${after.name}: ${counts}.${secrets ? ` Secrets that were not compared: ${secrets}.` : ""}`);

  const list = make("div", { id: "changes" });
  $("result").replaceChildren(make("h2", {}, found.changes.length ? "What differs" : "Nothing differs"), list);
  more(list, found.changes, 0);
}

/** Shows some of the changes, and a button for the next. */
function more(list, changes, from) {
  list.append(...changes.slice(from, from + SHOWN).map(change));
  const left = changes.length - from - SHOWN;
  if (left <= 0) return;
  const button = make("button", { type: "button" }, `Show ${Math.min(SHOWN, left)} of ${left} more`);
  button.addEventListener("click", () => {
    button.remove();
    more(list, changes, from + SHOWN);
    list.children[from + SHOWN]?.focus();
  });
  list.append(button);
}

function change({ kind, name, id, is_code, change: what, fields }) {
  const title = [make("span", { class: "mark" }, what), `${kind}: `, make("strong", {}, name)];
  if (id && id !== name) title.push(make("code", { class: "id" }, ` ${id}`));
  if (is_code) title.push(make("span", { class: "code" }, " Code: nodes run what stands in it"));
  const element = make("div", { class: `change ${what}`, tabindex: "-1" }, ...title);
  if (fields) element.append(make("ul", {}, ...fields.map((field) => make("li", {}, `${field.field}: `, ...values(field)))));
  return element;
}

function values(field) {
  if (field.masked) return ["another secret"];
  if (field.not_compared) return ["a secret, not compared"];
  if (field.reordered) return ["the same elements in another order"];
  return [make("code", {}, shown(field.before)), " → ", make("code", {}, shown(field.after))];
}

function shown(value) {
  if (value === undefined) return "(not set)";
  const text = JSON.stringify(value).replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text;
}

// ---- What this view does

if (EVERY) stayCurrent();
if ($("choice")) {
  $("choice").addEventListener("change", showChoice);
  $("choice").addEventListener("submit", begin);
  showChoice();
}
