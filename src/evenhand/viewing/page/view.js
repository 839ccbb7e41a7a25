"use strict";
(() => {
  const token = new URLSearchParams(location.search).get("token");
  const at = (id) => document.getElementById(id);
  const address = (path, more = "") => path + "?token=" + encodeURIComponent(token) + more;
  const POLL = 2000;
  const STATES = {
    waiting: "Waiting for a run to begin.",
    reading: "Reading the study and its data …",
    running: "The study is running.",
    stopped: "Nothing is running: the study is not finished. Run it again to continue.",
    finished: "Finished.",
    lost: "Nothing is followed any more.",
  };
  let shown = 0;

  const put = (element, text) => {
    element.textContent = text;
    element.hidden = !text;
  };
  const number = (value, digits) => (value === null || value === undefined ? "—" : value.toFixed(digits));

  const fill = (table, rows) => {
    table.hidden = !rows.length;
    table.tBodies[0].replaceChildren(
      ...rows.map((cells) => {
        const row = document.createElement("tr");
        cells.forEach((text, index) => {
          const cell = document.createElement(index ? "td" : "th");
          if (!index) cell.scope = "row";
          cell.textContent = text;
          row.append(cell);
        });
        return row;
      }),
    );
  };

  const showTrials = (status) => {
    const trials = status.trials;
    at("bar").hidden = !trials || !trials.planned;
    if (!trials) {
      put(at("counts"), "");
    } else {
      const parts = ["done", "running", "failed"].map((name) => `${trials[name]} ${name}`);
      if (trials.missing !== null) parts.push(`${trials.missing} missing`);
      put(at("counts"), (trials.planned === null ? "" : `Of ${trials.planned} trials: `) + parts.join(", "));
      at("bar").setAttribute("aria-label", at("counts").textContent);
      for (const name of ["done", "failed", "running"]) {
        at("bar").querySelector("." + name).style.width = (100 * trials[name]) / (trials.planned || 1) + "%";
      }
    }
    const work = status.at_work || [], finished = status.finished || [];
    at("more").hidden = !work.length && !finished.length;
    fill(at("at-work"), work.map((row) => [
      row.trial, Math.round(100 * row.share) + "%", row.step === null ? "—" : String(row.step + 1), number(row.loss, 4), row.by,
    ]));
    fill(at("finished"), finished.map((row) => [
      row.trial, number(row.train_loss, 4), number(row.validation_loss, 4), number(row.seconds, 1), row.failed || "",
    ]));
  };

  // Who has clicked into the report, or asked to keep it, is not interrupted: the newer one is a button away. Where the
  // pointer is does not tell, since a page knows nothing of what happens over a frame of another origin.
  const beingRead = () => at("keep").checked || document.activeElement === at("report");
  const open = (version) => {
    shown = version;
    at("report").src = address("/report", "&version=" + version);
    at("report").hidden = false;
    at("none").hidden = true;
    at("newer").hidden = true;
  };

  const showReport = (report) => {
    at("none").hidden = !!report;
    at("alone").hidden = at("keeping").hidden = !report;
    if (!report) return put(at("marked"), "");
    at("alone").href = address("/report");
    const of = `${report.trials} of ${report.of} trials`;
    put(at("marked"), report.preliminary
      ? `Preliminary: ${of}. Verdicts may change, and looking before the end does not hold the error rates.` : "");
    if (report.version === shown) return;
    if (shown && beingRead()) {
      at("newer").textContent = `Show the newer report${report.preliminary ? ` (${of})` : ", which is final"}`;
      at("newer").dataset.version = report.version;
      at("newer").hidden = false;
    } else {
      open(report.version);
    }
  };

  const show = (status) => {
    put(at("source"), "Evenhand: " + status.source);
    document.title = "Evenhand: " + status.source;
    put(at("folder"), status.folder === status.source ? "" : status.folder);
    put(at("state"), STATES[status.state] || status.state);
    showTrials(status);
    at("notes").hidden = !status.notes.length;
    at("notes").replaceChildren(...status.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    showReport(status.report);
  };

  const poll = async () => {
    try {
      const answer = await fetch(address("/status"), { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.json());
    } catch {
      put(at("state"), "evenhand view does not answer: it has ended, or its address has changed.");
    }
    setTimeout(poll, POLL);
  };
  at("newer").addEventListener("click", () => open(Number(at("newer").dataset.version)));
  poll();
})();
