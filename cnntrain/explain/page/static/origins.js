// Where the numbers of a layer were made, and a difference quotient of the loss alone.

// Where the numbers that a layer takes in were made.
function before(layer) {
  if (layer.position > 0) return layer.siblings[layer.position - 1].path;
  return layer.parent === null ? 'image' : before(layer.parent);
}

// Where the delta of a layer's output was made, and which number it is there.
function behind(layer, index) {
  if (layer.position < layer.siblings.length - 1) return [layer.siblings[layer.position + 1].path, index];
  if (layer.parent === null) return ['loss', index];
  const {parent} = layer;
  const joined = parent.name === 'branches' && parent.settings.merge !== 'add';
  return behind(parent, joined ? wholeIndex(parent, layer.part, index) : index);
}

function lossDifference(trace, index) {
  const h = 1e-5 * Math.max(1, Math.abs(trace.logits[index]));
  const lossAt = by => {
    const moved = trace.logits.slice();
    moved[index] += by;
    return lossOf(trace, moved).value;
  };
  return slopes(lossAt, h);
}
