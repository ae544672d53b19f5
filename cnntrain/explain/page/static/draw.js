// Maps and arrows.

function sharpen(canvas, width, height) {
  // sets the size where it is another; returns a context in CSS pixels
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// A map as a small picture, one pixel for each number.
function thumbnail(panel, map, look, size) {
  const canvas = el('canvas', {'aria-hidden': 'true', class: 'thumb'});
  canvas.width = panel.columns;
  canvas.height = panel.rows;
  const context = canvas.getContext('2d'),
    picture = context.createImageData(panel.columns, panel.rows);
  for (let i = 0; i < panel.count; i++) {
    picture.data.set(colourOf(panel, numberAt(panel, map * panel.count + i), look), i * 4);
    picture.data[i * 4 + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  const scale = size / Math.max(panel.columns, panel.rows);
  canvas.style.width = `${Math.max(4, panel.columns * scale)}px`;
  canvas.style.height = `${Math.max(4, panel.rows * scale)}px`;
  return canvas;
}

// A map with all its cells. `lit` cells keep their light while the others fade; `cursor` is the chosen spot. The map
// without lights is drawn once and kept in `kept`: a click draws few cells.
function drawMap(canvas, panel, map, cell, look, {lit = [], cursor = null, outline = null, kept = {}} = {}) {
  const width = panel.width * cell,
    height = panel.height * cell;
  if (kept.map !== map || kept.look !== look || kept.data !== panel.version) {
    Object.assign(kept, {map, look, data: panel.version, canvas: kept.canvas ?? document.createElement('canvas')});
    drawPlain(sharpen(kept.canvas, width, height), panel, map, cell, look);
  }
  const context = sharpen(canvas, width, height);
  context.drawImage(kept.canvas, 0, 0, width, height);
  const bright = lit.filter(spot => spot.map === map);
  if (bright.length > 0 && !bright.some(spot => spot.whole)) {
    context.globalAlpha = cell < 24 ? 0.5 : 0.3; // numbers stay readable
    context.fillStyle = css(look.paper);
    context.fillRect(0, 0, width, height);
    context.globalAlpha = 1;
    for (const spot of bright) drawCell(context, panel, spot, cell, look, spot.weight);
  }
  for (const spot of bright) if (spot.won) frame(context, panel, spot, 1, 1, cell, look.lit, look);
  if (outline !== null)
    drawOutline(
      context,
      panel,
      outline.filter(spot => spot.map === map),
      cell,
      look,
    );
  if (cursor !== null && cursor.map === map) frame(context, panel, cursor, 1, 1, cell, look.lit, look);
}

function drawPlain(context, panel, map, cell, look) {
  context.clearRect(0, 0, panel.width * cell, panel.height * cell);
  for (let row = 0; row < panel.height; row++)
    for (let column = 0; column < panel.width; column++)
      drawCell(context, panel, {map, u: row - panel.before[0], v: column - panel.before[1]}, cell, look);
  if (cell >= 7) drawGrid(context, panel, cell, look);
}

function drawCell(context, panel, spot, cell, look, weight) {
  const index = indexAt(panel, spot);
  const x = (spot.v + panel.before[1]) * cell,
    y = (spot.u + panel.before[0]) * cell;
  const colour = index === null ? null : colourOf(panel, numberAt(panel, index), look);
  if (colour === null) drawEmpty(context, panel, spot, x, y, cell, look);
  else {
    context.fillStyle = css(colour);
    context.fillRect(x, y, cell, cell);
  }
  drawNumber(context, panel, index, weight, x, y, cell, look, colour);
}

// Padding, and zeros between the numbers of a delta that a stride has spread.
function drawEmpty(context, panel, spot, x, y, cell, look) {
  const inside =
    spot.u >= 0 &&
    spot.v >= 0 &&
    spot.u <= (panel.rows - 1) * panel.spread[0] &&
    spot.v <= (panel.columns - 1) * panel.spread[1];
  if (inside && panel.spread[0] * panel.spread[1] === 1) return; // behind the end of a folded vector
  context.fillStyle = css(look.paper);
  context.fillRect(x, y, cell, cell);
  context.strokeStyle = look.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + cell * 0.3, y + cell * 0.7);
  context.lineTo(x + cell * 0.7, y + cell * 0.3);
  context.stroke();
}

function drawNumber(context, panel, index, weight, x, y, cell, look, colour) {
  if (cell < 24) return;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const light = lightOf(colour ?? look.paper);
  if (index !== null) {
    context.fillStyle = light > BLACK_FROM ? '#000000' : '#ffffff';
    context.font = `${Math.min(14, Math.floor(cell * 0.34))}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace`;
    context.fillText(
      brief(numberAt(panel, index), unitOf(largestIn(panel))),
      x + cell / 2,
      y + cell / (weight === undefined || cell < 30 ? 2 : 2.6),
      cell - 3,
    );
  }
  if (weight !== undefined && cell >= 30) {
    // the filter lies over it
    context.fillStyle =
      light > VIOLET_FROM ? '#43178c' : light > BLACK_FROM ? '#000000' : light < 0.1 ? '#d9c8ff' : '#ffffff';
    context.font = `600 ${Math.min(11, Math.floor(cell * 0.28))}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace`;
    context.fillText(`×${brief(weight)}`, x + cell / 2, y + cell * 0.78, cell - 3);
  }
}

function drawGrid(context, panel, cell, look) {
  context.strokeStyle = look.halo;
  context.globalAlpha = cell > 16 ? 0.9 : 0.35;
  context.lineWidth = 1;
  context.beginPath();
  for (let row = 1; row < panel.height; row++) {
    context.moveTo(0, row * cell);
    context.lineTo(panel.width * cell, row * cell);
  }
  for (let column = 1; column < panel.width; column++) {
    context.moveTo(column * cell, 0);
    context.lineTo(column * cell, panel.height * cell);
  }
  context.stroke();
  context.globalAlpha = 1;
}

// The window: one frame around cells that lie side by side, a frame for each where a dilation has spread them.
function drawOutline(context, panel, spots, cell, look) {
  if (spots.length === 0) return;
  const us = spots.map(spot => spot.u),
    vs = spots.map(spot => spot.v);
  const [top, left] = [Math.min(...us), Math.min(...vs)];
  const rows = Math.max(...us) - top + 1,
    columns = Math.max(...vs) - left + 1;
  if (rows * columns > spots.length && spots.length < 80 && cell >= 9)
    for (const spot of spots) frame(context, panel, spot, 1, 1, cell, look.lit, look, 1);
  frame(context, panel, {u: top, v: left}, rows, columns, cell, look.lit, look);
}

function frame(context, panel, {u, v}, rows, columns, cell, colour, look, width = Math.max(2, Math.min(3, cell / 8))) {
  const x = (v + panel.before[1]) * cell,
    y = (u + panel.before[0]) * cell;
  context.lineJoin = 'round';
  for (const [style, size] of [
    [look.halo, width + 2],
    [colour, width],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = size;
    context.strokeRect(x + 1, y + 1, columns * cell - 2, rows * cell - 2);
  }
}

// Lines over the stage, from a cell of one panel to a cell of another.
function drawArrows(layer, lines, key = 'none', withFaint = false) {
  const NS = 'http://www.w3.org/2000/svg';
  const make = (name, settings) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(settings)) element.setAttribute(key, value);
    return element;
  };
  const head = (id, name) => {
    const marker = make('marker', {
      id,
      viewBox: '0 0 8 8',
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      orient: 'auto',
    });
    marker.append(make('path', {d: 'M0 0 8 4 0 8z', class: name}));
    return marker;
  };
  const definitions = make('defs', {});
  definitions.append(head('head', 'head'), head('head-strong', 'head strong'));
  if (layer.childElementCount === 0) {
    const definitions = make('defs', {});
    definitions.append(head('head', 'head'), head('head-strong', 'head strong'));
    layer.append(definitions, make('g', {}), make('g', {}));
  }
  const path = ({from, to, strong}) => {
    const bend =
      Math.abs(to.x - from.x) > Math.abs(to.y - from.y)
        ? `C ${(from.x + to.x) / 2} ${from.y} ${(from.x + to.x) / 2} ${to.y}`
        : `C ${from.x} ${(from.y + to.y) / 2} ${to.x} ${(from.y + to.y) / 2}`;
    return make('path', {
      d: `M ${from.x} ${from.y} ${bend} ${to.x} ${to.y}`,
      class: strong ? 'arrow strong' : 'arrow',
      'marker-end': strong ? 'url(#head-strong)' : 'url(#head)',
    });
  };
  const [, faint, strong] = layer.children;
  if (layer.dataset.key !== key) {
    // the faint ones stay while one chooses among them
    layer.dataset.key = key;
    faint.replaceChildren(...(withFaint ? lines : []).map(line => path({...line, strong: false})));
  }
  strong.replaceChildren(...lines.filter(line => line.strong).map(path));
}
