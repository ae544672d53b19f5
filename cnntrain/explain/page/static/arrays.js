// Arrays out of the page's own text: see pack.py, which wrote them.

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const WIDTHS = {f8: 8, f4: 4, i4: 4, i2: 2, i1: 1};
const READERS = {f8: 'getFloat64', f4: 'getFloat32', i4: 'getInt32', i2: 'getInt16', i1: 'getInt8'};

function readNumbers(bytes, begin, kind, count) {
  const width = WIDTHS[kind];
  const inOrder = new Uint8Array(count * width);
  for (let part = 0; part < width; part++)
    for (let i = 0; i < count; i++) inOrder[i * width + part] = bytes[begin + part * count + i];
  const view = new DataView(inOrder.buffer);
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) numbers[i] = view[READERS[kind]](i * width, true);
  return numbers;
}

const CRC_TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function checksum(numbers) {
  // of little-endian doubles, as this machine has them
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function checked(numbers, crc) {
  if (checksum(numbers) !== crc) throw new Error('the page has not read back the numbers that were written into it');
  return numbers;
}

// Each array is read when it is first wanted.
class Arrays {
  constructor(table, bytes) {
    this.table = table;
    this.bytes = bytes;
    this.read = new Map();
    this.begins = [];
    let at = 0;
    for (const [kind, count] of table) {
      this.begins.push(at);
      if (kind in WIDTHS) at += WIDTHS[kind] * count;
    }
  }

  get(number) {
    if (number === null || number === undefined) return null;
    if (!this.read.has(number)) this.read.set(number, this.make(number));
    return this.read.get(number);
  }

  make(number) {
    const [kind, count, ...more] = this.table[number];
    if (kind === 'zero') return new Float64Array(count);
    if (kind === 'outer') return this.outer(this.get(count), this.get(more[0]), more[1]);
    if (kind === 'rule') return this.byRule(count, ...more);
    return readNumbers(this.bytes, this.begins[number], kind, count);
  }

  outer(a, b, crc) {
    const product = new Float64Array(a.length * b.length);
    for (let i = 0; i < a.length; i++) for (let j = 0; j < b.length; j++) product[i * b.length + j] = a[i] * b[j];
    return checked(product, crc);
  }

  // velocity: momentum v + (g + decay w);  sgd: w - rate v, or w - rate ((g + decay w) + momentum v) with Nesterov's form
  byRule(count, wrong, rule, factors, operands, crc) {
    const [w, v, g] = operands.map(number => this.get(number));
    const {rate, momentum, decay, nesterov} = factors;
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const gradient = g[i] + decay * w[i];
      if (rule === 'velocity') numbers[i] = momentum * v[i] + gradient;
      else numbers[i] = w[i] - rate * (nesterov ? gradient + momentum * v[i] : v[i]);
    }
    const bits = new BigInt64Array(numbers.buffer);
    const steps = this.get(wrong);
    for (let i = 0; i < count; i++) if (steps[i] !== 0) bits[i] += BigInt(steps[i]);
    return checked(numbers, crc);
  }
}
