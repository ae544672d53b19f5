// Numbers as people read them, and elements of the page.

const MINUS = '\u2212';

function show(value, digits = 4) {
  if (value === null || value === undefined) return '?';
  if (Number.isNaN(value)) return 'NaN';
  const size = Math.abs(value);
  let text;
  if (size === Infinity) text = '\u221e';
  else if (Number.isInteger(value) && size < 1e7) text = String(size);
  else if (size >= 1e-3 && size < 1e6) text = trimmed(size.toPrecision(digits));
  else text = power(size.toExponential(Math.max(digits - 2, 1)));
  return value < 0 ? MINUS + text : text;
}

function trimmed(text) {
  if (text.includes('e')) return power(text);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function power(text) {
  const [digits, exponent] = text.split('e');
  return `${digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits}e${exponent.replace('+', '').replace('-', MINUS)}`;
}

function brief(value) {  // for a cell of a map
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1000) return show(value);
  if (size < 0.0005) return '0';
  if (size >= 1000) return power(value.toExponential(0)).replace(/^-/, MINUS);
  const text = size >= 10 ? size.toFixed(size >= 100 ? 0 : 1) : size.toFixed(2);
  return (value < 0 ? MINUS : '') + text.replace(/^0\./, '.');
}

// In a sum: a negative factor stands in brackets.
const factor = value => (value < 0 ? `(${show(value)})` : show(value));

function el(name, settings = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(settings)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'class') element.className = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) element.append(child);
  return element;
}

const byId = id => document.getElementById(id);

function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(child => child !== null && child !== undefined));
}

const sizeOf = shape => shape.reduce((product, n) => product * n, 1);

function placeIn(shape, index) {  // [channel, row, column] of a flat index
  const place = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place.unshift(index % shape[axis]);
    index = Math.floor(index / shape[axis]);
  }
  return place;
}

const indexIn = (shape, place) => place.reduce((index, at, axis) => index * shape[axis] + at, 0);

function placeText(shape, index) {
  const place = placeIn(shape, index);
  return (shape.length === 3 && shape[1] * shape[2] === 1 ? place.slice(0, 1) : place).join(', ');
}
