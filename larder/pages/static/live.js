// What moves on a page that is whole without this: pages that look again by themselves, and rows that change.
"use strict";

(() => {
  const told = document.querySelector("[data-liveness]");

  const tell = (text, broken) => {
    if (!told) return;
    told.hidden = false;
    told.classList.toggle("broken", broken);
    if (told.textContent !== text) told.textContent = text;
  };

  // Pages that show how things are: asked for again while somebody can see them, each after the last has come.
  const main = document.querySelector("main[data-refresh]");

  const focusable = () => [...main.querySelectorAll("a, summary, [tabindex]")];

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const focused = focusable().indexOf(document.activeElement);
    const scrolled = [...main.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    main.replaceChildren(...fresh.querySelector("main").childNodes);
    main.querySelectorAll(".scroll").forEach((each, at) => { each.scrollLeft = scrolled[at] || 0; });
    if (focused >= 0) focusable()[focused]?.focus({ preventScroll: true });
    const [now, then] = [document.querySelector(".foot time"), fresh.querySelector(".foot time")];
    if (now && then) now.textContent = then.textContent;
  };

  const lookAgain = async (seconds) => {
    if (!document.hidden) {
      try {
        const signal = AbortSignal.timeout(2000 * seconds);
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal });
        if (!answer.ok) throw new Error(`answered ${answer.status}`);
        show(await answer.text());
        tell(`looks again every ${seconds} s`, false);
      } catch {
        tell("the worker does not answer: this is how it was", true);
      }
    }
    setTimeout(lookAgain, seconds * 1000, seconds);
  };

  if (main) {
    const seconds = Number(main.dataset.refresh);
    tell(`looks again every ${seconds} s`, false);
    setTimeout(lookAgain, seconds * 1000, seconds);
  }

  // Rows that change: the newest on top, each key once, drawn at most once a frame.
  const table = document.querySelector("table[data-changes]");
  const mostRows = 200;
  const mostLetters = 80;

  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value ?? null));

  const address = (key) => {
    const rows = table.dataset.rows;
    const written = encodeURIComponent(key);
    return ["", ".", ".."].includes(key) ? `${rows.slice(0, -1)}?key=${written}` : rows + written;
  };

  const cells = (key, row, fields) => {
    const head = document.createElement("th");
    head.scope = "row";
    const link = head.appendChild(document.createElement("a"));
    link.href = address(key);
    link.appendChild(document.createElement("code")).textContent = key || "(empty)";
    const others = fields.map((name) => {
      const cell = document.createElement("td");
      const text = cell.appendChild(document.createElement("span"));
      text.className = "cell";
      text.title = text.textContent = shown(row[name]).slice(0, mostLetters);
      return cell;
    });
    return [head, ...others];
  };

  const follow = () => {
    const body = table.tBodies[0];
    const heads = table.tHead.rows[0];
    let fields = JSON.parse(table.dataset.fields);
    const lines = new Map();
    const changes = new Map();
    // Each reset is made good by reading the rows again; what comes meanwhile is drawn over them.
    let resets = 0;
    let madeGood = 0;
    let reading = false;

    const index = () => {
      lines.clear();
      for (const line of body.rows) lines.set(line.dataset.key, line);
    };

    const name = (row) => {
      fields = Object.keys(row).slice(0, 6);
      fields.forEach((each) => {
        const head = heads.appendChild(document.createElement("th"));
        head.scope = "col";
        head.textContent = each;
      });
    };

    const draw = () => {
      for (const [key, row] of changes) {
        const old = lines.get(key);
        if (row === null) {
          old?.classList.add("gone");
          continue;
        }
        if (!fields.length) name(row);
        const line = document.createElement("tr");
        line.dataset.key = key;
        line.className = "changed";
        line.append(...cells(key, row, fields));
        if (old) old.replaceWith(line); else body.prepend(line);
        lines.set(key, line);
        if (body.rows.length > mostRows) {
          lines.delete(body.lastElementChild.dataset.key);
          body.lastElementChild.remove();
        }
      }
      changes.clear();
      if (body.rows.length) document.querySelector("[data-empty]")?.remove();
    };

    const take = (text) => {
      const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("table[data-changes]");
      heads.replaceChildren(...fresh.tHead.rows[0].children);
      body.replaceChildren(...fresh.tBodies[0].rows);
      fields = JSON.parse(fresh.dataset.fields);
      index();
    };

    const readAgain = async () => {
      if (reading) return;
      reading = true;
      tell("changes were missed: reads the rows again", true);
      try {
        while (resets > madeGood) {
          const seen = resets;
          const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
          if (!answer.ok) throw new Error(`answered ${answer.status}`);
          take(await answer.text());
          madeGood = seen;
        }
        tell("live", false);
      } catch {
        tell("changes were missed: load the page again", true);
      }
      reading = false;
      draw();
    };

    index();
    const source = new EventSource(table.dataset.changes);
    source.addEventListener("open", () => { if (resets > madeGood) readAgain(); else tell("live", false); });
    source.addEventListener("error", () => { if (resets === madeGood) tell("no connection: tries again", true); });
    source.addEventListener("reset", () => { resets += 1; changes.clear(); readAgain(); });
    source.addEventListener("row", (event) => {
      const { key, row } = JSON.parse(event.data);
      if (!changes.size) requestAnimationFrame(() => { if (!reading) draw(); });
      changes.delete(key);
      changes.set(key, row);
      // Nothing is drawn while nobody looks: what would have left the table by then is not kept.
      if (changes.size > mostRows) {
        const [oldest] = changes.keys();
        changes.delete(oldest);
        lines.get(oldest)?.remove();
        lines.delete(oldest);
      }
    });
    addEventListener("pagehide", () => source.close());
  };

  if (table) follow();
})();
