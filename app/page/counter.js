"use strict";
// Looks at the shop every half second, and draws what it finds. Only the ids of the orders are kept here.
const STEPS = ["requested", "validated", "paid", "confirmed", "shipped"];
const LOST = ["rejected", "cancelled"];
const PAUSE = 500, KEPT = 20;
const at = (id) => document.getElementById(id);
const orders = JSON.parse(localStorage.getItem("orders") || "[]");
const prices = new Map();
let down = false, story = "";

function made(tag, text = "", classes = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = classes;
  return element;
}

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const money = (cents) => (cents / 100).toFixed(2);

async function send(method, path, body, headers = {}) {
  const answer = await fetch(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });
  if (answer.ok) return null;
  const text = await answer.text();
  try { return JSON.parse(text).detail || text; } catch { return text; }
}

const hex = (count) => Array.from(crypto.getRandomValues(new Uint8Array(count)), (each) => each.toString(16).padStart(2, "0")).join("");

async function order(product) {
  if (!at("form").reportValidity()) return;
  const id = `web-${hex(8)}`;
  const body = { order_id: id, customer_id: at("customer").value, product_id: product, quantity: Number(at("quantity").value) };
  if (prices.has(product)) body.price = prices.get(product);
  const refused = await send("POST", "orders", body, { "Idempotency-Key": `counter-order-${id}`, traceparent: `00-${hex(16)}-${hex(8)}-01` });
  at("said").textContent = refused || "";
  if (refused) return;
  orders.unshift(id);
  orders.length = Math.min(orders.length, KEPT);
  localStorage.setItem("orders", JSON.stringify(orders));
  await look();
}

function entry(list, key, make) {
  let found = [...list.children].find((each) => each.dataset.key === key);
  if (!found) {
    found = make();
    found.dataset.key = key;
  }
  return found;
}

function newProduct(product) {
  const item = made("li");
  const button = made("button", "Order");
  button.type = "button";
  button.addEventListener("click", () => order(product));
  item.append(made("p", "", "line"), made("div", "", "stock"), made("p", "", "soft"), button);
  return item;
}

function bar(free, reserved, sold) {
  const all = Math.max(free + reserved + sold, 1);
  const picture = drawn("svg", { viewBox: `0 0 ${all} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(drawn("rect", { class: "free", width: free, height: 1 }), drawn("rect", { class: "reserved", x: free, width: reserved, height: 1 }));
  return picture;
}

function showProduct(product, level, price) {
  const id = product.product_id, item = entry(at("shelf"), id, () => newProduct(id));
  const cents = price ? price.price : Math.round(product.price * 100);
  prices.set(id, cents);
  const [line, stock, figures, button] = item.children;
  line.replaceChildren(made("span", product.name), made("strong", money(cents)));
  const reserved = level ? Object.values(level.reserved).reduce((sum, each) => sum + each, 0) : 0;
  stock.replaceChildren(bar(level ? level.free : 0, reserved, level ? level.sold : 0));
  const ordered = level && level.awaits !== null ? ", more are on their way" : "";
  figures.textContent = level ? `${level.free} free, ${reserved} reserved, ${level.sold} sold${ordered}` : "no stock yet";
  button.setAttribute("aria-label", `Order ${product.name}`);
  if (!item.parentNode) at("shelf").append(item);
}

function newOrder() {
  const item = made("li");
  item.append(made("p"), made("ol", "", "track"), made("p", "", "soft"));
  return item;
}

function steps(row) {
  const lost = LOST.includes(row.state);
  const shown = lost ? [...STEPS.slice(0, row.step - 1), row.state] : STEPS;
  return shown.map((state) => {
    const item = made("li", state);
    if (state === row.state) {
      item.classList.add("now");
      item.setAttribute("aria-current", "step");
      if (lost) item.classList.add("lost");
      if (down && state === "validated") item.classList.add("waits");
    } else if (lost || shown.indexOf(state) < shown.indexOf(row.state)) item.classList.add("past");
    return item;
  });
}

function cancelling(id) {
  const button = made("button", "Cancel", "plain");
  button.type = "button";
  button.setAttribute("aria-label", `Cancel ${id}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    at("said").textContent = (await send("POST", `orders/${encodeURIComponent(id)}/cancel`, {})) || "";
    await look();
  });
  const item = made("li", "", "act");
  item.append(button);
  return item;
}

function showOrder(id, row, names) {
  const item = entry(at("orders"), id, newOrder);
  const drawnAs = JSON.stringify([row, down]);
  if (item.dataset.drawn === drawnAs) return item;
  item.dataset.drawn = drawnAs;
  const [title, track, detail] = item.children;
  if (!row) {
    title.textContent = `${id}: not known any more`;
    return item;
  }
  title.textContent = `${row.quantity} × ${names.get(row.product_id) || row.product_id} for ${money(row.amount)}, ${id}`;
  track.replaceChildren(...steps(row));
  if (["requested", "validated"].includes(row.state)) track.append(cancelling(id));
  const seconds = (new Date(row.changed_at) - new Date(row.placed_at)) / 1000;
  const said = row.reason || (down && row.state === "validated" ? "waits for the provider" : row.step > 1 ? `${row.state} after ${seconds.toFixed(2)} s` : "");
  const link = made("a", "its story");
  link.href = `${story}?key=${encodeURIComponent(id)}`;
  link.setAttribute("aria-label", `the story of ${id}`);
  detail.replaceChildren(said ? `${said}; ` : "", link);
  return item;
}

function showAway(away) {
  at("away").hidden = !away.length;
  at("away").textContent = away.length ? `No answer from: ${away.join(", ")}. The rest goes on.` : "";
}

function showProvider(faults) {
  at("switch").disabled = !faults;
  down = Boolean(faults && faults.down);
  at("provider").textContent = faults ? (down ? "stopped: orders wait" : "answers") : "unknown";
  at("provider").className = down ? "down" : "";
  at("switch").textContent = down ? "Start it" : "Stop it";
}

function show(found) {
  story = found.story;
  showAway(found.away);
  showProvider(found.faults);
  const names = new Map((found.products || []).filter(Boolean).map((each) => [each.product_id, each.name]));
  (found.products || []).forEach((product, place) => {
    if (product) showProduct(product, (found.levels || [])[place], (found.prices || [])[place]);
  });
  at("none").hidden = orders.length > 0;
  if (found.orders) at("orders").replaceChildren(...orders.map((id, place) => showOrder(id, found.orders[place], names)));
}

async function look() {
  const asked = orders.slice();
  try {
    const answer = await fetch("shop?" + new URLSearchParams(asked.map((id) => ["order", id])));
    if (!answer.ok) throw new Error(answer.statusText);
    const found = await answer.json();
    if (asked.join() === orders.join()) show(found);
  } catch {
    showAway(["the counter itself"]);
  }
}

async function lookOn() {
  await look();
  setTimeout(lookOn, PAUSE);
}

at("form").addEventListener("submit", (event) => event.preventDefault());
at("switch").addEventListener("click", async () => {
  at("said").textContent = (await send("PUT", "faults", { down: !down })) || "";
  await look();
});
lookOn();
