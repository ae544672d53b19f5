// The strip: from the image through all layers to the loss. Each card is a button.

const THUMBS = 4,
  SIZE = 34;

function drawStrip(page) {
  const {trace, mode, n, look} = page;
  const image = card(
    page,
    'image',
    'image',
    trace.shape,
    stripPanel(mode, trace.layers[0], n, 'image'),
    look,
    mode !== 'update',
  );
  const loss = card(page, 'loss', trace.loss.name, null, null, look, mode !== 'update', show(trace.loss.value));
  replace(
    byId('strip'),
    image,
    trace.layers.map(layer => layerCard(page, layer)),
    loss,
  );
  markStrip(page);
}

function markStrip(page) {
  for (const button of byId('strip').querySelectorAll('.card')) {
    const chosen = button.dataset.path === page.path;
    button.setAttribute('aria-current', String(chosen));
    if (chosen) showChoiceIn(byId('strip'), button);
  }
}

function showChoiceIn(list, item) {
  // within the list: the page stays where it is
  const box = item.getBoundingClientRect(),
    outer = list.getBoundingClientRect();
  if (box.top < outer.top || box.bottom > outer.bottom) list.scrollTop += box.top - outer.top - 8;
}

function layerCard(page, layer) {
  const {mode, n, look} = page;
  const learned = Object.keys(layer.parameters).length > 0;
  const own = card(
    page,
    layer.path,
    layer.name,
    layer.out,
    stripPanel(mode, layer, n, 'layer'),
    look,
    mode !== 'update' || learned,
  );
  if (layer.parts.length === 0) return own;
  return el(
    'div',
    {class: 'group', role: 'group', 'aria-label': layer.path},
    own,
    el(
      'div',
      {class: 'ways'},
      layer.parts.map(inner =>
        el(
          'div',
          {class: 'way'},
          el('span', {class: 'way-name'}, inner.label || '↻'),
          inner.layers.length
            ? inner.layers.map(each => layerCard(page, each))
            : el('span', {class: 'quiet'}, 'identity'),
        ),
      ),
    ),
  );
}

function stripPanel(mode, layer, n, what) {
  if (mode === 'update') {
    const name = Object.keys(layer.parameters)[0];
    return what === 'image' || name === undefined ? null : parameterPanel(layer, name, 'step');
  }
  if (what === 'image')
    return mode === 'forward' ? inputPanel(layer, n) : layer.dx === null ? null : gradientPanel(layer, n);
  return mode === 'forward' ? outputPanel(layer, n) : layer.dy === null ? null : deltaPanel(layer, n);
}

function card(page, path, name, shape, panel, look, enabled, words = '') {
  const thumbs =
    panel === null
      ? []
      : Array.from({length: Math.min(panel.maps, THUMBS)}, (_, map) => thumbnail(panel, map, look, SIZE));
  const size = shape === null ? '' : shape[1] * shape[2] === 1 ? String(shape[0]) : shape.join('×');
  const number = /^\d/.test(path)
    ? path
        .split('.')
        .filter(piece => /^\d+$/.test(piece))
        .join('.')
    : '';
  return el(
    'button',
    {
      class: 'card',
      type: 'button',
      'data-path': path,
      disabled: !enabled,
      title: path,
      'aria-label': `${path}${size ? `, ${size}` : ''}${words ? ` ${words}` : ''}`,
      onclick: () => page.open(path),
    },
    el('span', {class: 'card-name'}, number ? el('span', {class: 'card-number'}, number) : null, name),
    el(
      'span',
      {class: 'thumbs'},
      thumbs,
      panel !== null && panel.maps > THUMBS ? el('span', {class: 'more'}, `+${panel.maps - THUMBS}`) : null,
    ),
    el('span', {class: 'card-size'}, size, words),
  );
}
