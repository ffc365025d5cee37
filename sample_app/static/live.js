"use strict";

// Adds new messages as they come. Texts go in as text, never as HTML.
const list = document.getElementById("messages");
const state = document.getElementById("status");
let last = Number(list.dataset.last);
let wait = 1000;

function paragraph(kind) {
  const element = document.createElement("p");
  element.className = kind;
  return element;
}

function show(message) {
  const author = document.createElement("strong");
  author.textContent = message.author;
  const time = document.createElement("time");
  time.dateTime = time.textContent = message.posted;
  const by = paragraph("by");
  by.append(author, " ", time);
  const text = paragraph("text");
  text.textContent = message.text;
  const item = document.createElement("li");
  item.append(by, text);
  list.append(item);
  last = message.number;
}

function connect() {
  const address = new URL(list.dataset.live, window.location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("after", String(last));
  const socket = new WebSocket(address);
  socket.addEventListener("open", () => {
    wait = 1000;
    state.textContent = "New messages appear here by themselves.";
  });
  socket.addEventListener("message", (event) => {
    const data = JSON.parse(event.data);
    if (data.message) show(data.message);
  });
  socket.addEventListener("close", () => {
    state.textContent = "Not connected; trying again.";
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 30000);
  });
}

connect();
