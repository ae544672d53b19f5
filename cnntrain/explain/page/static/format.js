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

// Small numbers of a map or table are shown in units of a power of ten: the exponent, 0 for none.
function unitOf(largest) {
  return largest > 0 && largest < 0.05 ? Math.floor(Math.log10(largest)) : 0;
}

const SUPERSCRIPTS = {
  '-': '\u207b',
  0: '\u2070',
  1: '\u00b9',
  2: '\u00b2',
  3: '\u00b3',
  4: '\u2074',
  5: '\u2075',
  6: '\u2076',
  7: '\u2077',
  8: '\u2078',
  9: '\u2079',
};
const unitText = unit => (unit === 0 ? '' : `, in 10${[...String(unit)].map(sign => SUPERSCRIPTS[sign]).join('')}`);

function brief(value, unit = 0) {
  // for a cell
  const scaled = unit === 0 ? value : value * 10 ** -unit;
  const size = Math.abs(scaled);
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isInteger(scaled) && size < 1000) return show(scaled);
  if (size >= 1000) return power(scaled.toExponential(0)).replace(/^-/, MINUS);
  const text = size >= 10 ? size.toFixed(size >= 100 ? 0 : 1) : size.toFixed(2);
  return (scaled < 0 && Number(text) !== 0 ? MINUS : '') + text.replace(/^0\./, '.');
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

function placeIn(shape, index) {
  // [channel, row, column] of a flat index
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
