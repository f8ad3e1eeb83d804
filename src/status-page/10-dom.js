"use strict";
// Elements are made from text nodes only: nothing that a client can choose is ever read as markup.

const $ = (id) => document.getElementById(id);

// make("td.n", {title: …}, child, …): strings become text nodes.
function make(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Builds a part anew only if what it shows has changed, so that a selection in it stays.
const shown = new Map();
function show(id, data, build) {
  const key = JSON.stringify(data);
  if (shown.get(id) === key) return;
  shown.set(id, key);
  $(id).replaceChildren(...build(data));
}

// What has changed, for those who do not see it.
function say(text) {
  $("said").textContent = text;
}

function nothing(text) {
  return [make("p.empty", null, text)];
}
