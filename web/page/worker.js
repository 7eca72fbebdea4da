// Reads two configurations and compares them, away from the page, which goes on answering. A file is read here and sent nowhere.

import init, { Configuration, compare } from "/page/comparison.js";

const RETRY = 1000;
const PATIENCE = 300000;

/** A snapshot as the server gives it: masked. While another one is being masked there, it says 429. */
async function snapshot({ version, sequence, name }) {
  const begun = Date.now();
  for (;;) {
    const answer = await fetch(`/page/configuration/${version}/${sequence}`, { cache: "no-store" });
    if (answer.ok) return received(answer, name);
    const reason = (await answer.text()).trim();
    if (answer.status !== 429 || Date.now() - begun > PATIENCE) throw new Error(`${name}: ${reason}`);
    tell(`${name}: its secrets are being masked`);
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

async function received(answer, name) {
  const all = Number(answer.headers.get("lifeboat-bytes"));
  const bytes = new Uint8Array(all);
  let have = 0;
  for await (const chunk of chunks(answer.body)) {
    if (have + chunk.length > all) throw new Error(`${name}: it is longer than announced`);
    bytes.set(chunk, have);
    have += chunk.length;
    tell(`${name}: ${Math.floor(have / 1e6)} of ${Math.ceil(all / 1e6)} MB`, have / all);
  }
  if (have !== all) throw new Error(`${name}: the connection ended too early; try again`);
  return bytes;
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** One side, read as a configuration. */
async function configuration(side) {
  if (!side.file) {
    const bytes = await snapshot(side);
    tell(`${side.name}: reading it`);
    return Configuration.of_snapshot(bytes);
  }
  tell(`${side.name}: reading it`);
  try {
    return Configuration.of_file(new Uint8Array(await side.file.arrayBuffer()), side.version);
  } catch (problem) {
    throw new Error(`${side.name}: ${problem.message ?? problem}`);
  }
}

function tell(text, part) {
  postMessage({ progress: text, part });
}

addEventListener("message", async ({ data: { before, after } }) => {
  try {
    await init({ module_or_path: "/page/comparison_bg.wasm" });
    // One after the other: the server masks one snapshot at a time.
    const earlier = await configuration(before);
    const later = await configuration(after);
    tell("comparing");
    postMessage({ result: compare(earlier, later) });
  } catch (problem) {
    postMessage({ problem: problem.message ?? String(problem) });
  }
});
