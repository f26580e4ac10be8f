// The page: starts tasks, watches them and cancels them. The browser sends the session's cookie along by itself, with
// an EventSource too; texts go into the page as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const tell = (text) => { byId("told").textContent = text; };

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status === 401) location.assign("/login");
  const said = await answer.json();
  if (!answer.ok && said.detail) tell(said.detail);
  return { ok: answer.ok, said };
}

function show(key) {
  const item = document.createElement("li");
  const name = document.createElement("code");
  const state = document.createElement("span");
  const cancel = document.createElement("button");
  name.textContent = key;
  cancel.textContent = "Cancel";
  item.dataset.task = key;
  item.append(name, " ", state, " ", cancel);
  byId("tasks").prepend(item);

  const events = new EventSource(`/jobs/stream/${key}`);
  const on = (kind, words) => events.addEventListener(kind, (event) => {
    // A lost connection is an `error` too, without data: the EventSource resumes by itself.
    if (event.data === undefined) {
      if (events.readyState === EventSource.CLOSED) state.textContent = "cannot be watched";
      return;
    }
    state.textContent = words(JSON.parse(event.data));
    if (["completed", "cancelled", "error"].includes(kind)) {
      events.close();
      cancel.remove();
    }
  });
  on("running", () => "running");
  on("progress", (data) => `row ${data.row} of ${data.of}`);
  on("cancellation_requested", () => "stopping");
  on("completed", (data) => `completed: ${JSON.stringify(data.final_value)}`);
  on("cancelled", (data) => `cancelled: ${data.reason}`);
  on("error", (data) => `failed: ${data.message}`);

  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    const { ok } = await post(`/jobs/cancel/${key}`, { reason: "Cancelled on the page" });
    cancel.disabled = ok;
  });
}

async function start(model, input) {
  tell("");
  const { ok, said } = await post(`/jobs/tasks/office/${model}`, { input });
  if (ok) show(`${said.app}/${said.model}/${said.id}`);
}

byId("export").addEventListener("click", () => start("Export", { rows: 50 }));
byId("purge").addEventListener("click", () => start("Purge", {}));
byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  show(byId("key").value);
});
fetch("/me").then((answer) => answer.json()).then((me) => { byId("me").textContent = `${me.name} (${me.role})`; });
