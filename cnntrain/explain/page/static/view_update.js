// The update of learned arrays.

function updateView(trace, layer, tab) {
  if (trace.optimizer === null || layer.parameters === undefined || layer.parameters[tab] === undefined) return null;
  const parameter = layer.parameters[tab];
  const value = parameterPanel(layer, tab, 'value', {id: 'w'}),
    gradient = parameterPanel(layer, tab, 'gradient');
  const kept = Object.keys(parameter.kept)
    .filter(slot => slot !== 'average')
    .map(slot => parameterPanel(layer, tab, [slot, 1], {id: slot, title: `${slot}, after`}));
  const step = parameterPanel(layer, tab, 'step', {id: 'step', title: 'step: w′ − w'});
  const updated = parameterPanel(layer, tab, 'updated', {id: 'updated', title: `${tab} after the step`});
  const panels = [value, gradient, ...kept, step, updated];
  const scale = canUpdate(trace) ? clipScale(trace, (owner, name) => owner.parameters[name].gradient) : 1;
  const explain = index => {
    const lit = Object.fromEntries(panels.filter(p => p !== updated).map(p => [p.id, [spotOf(p, index)]]));
    const common = {
      name: `${value.symbol}′[${value.label(index)}]`,
      kernel: parameter.updated[index],
      parts: [],
      lit,
      arrows: [],
    };
    if (!canUpdate(trace))
      return {
        ...common,
        value: parameter.updated[index],
        words: `"${trace.optimizer.name}" is an optimiser of which this page knows no formula`,
        lines: [],
        unknown: true,
      };
    const made = updateOne(trace, parameter, parameter.gradient[index], index, scale);
    return {
      ...common,
      value: made.updated,
      words: updateWords(trace, parameter),
      lines: updateLines(trace, parameter, index, made),
    };
  };
  return {panels, signs: panels.map(() => ''), target: 'updated', explain, near: sameSpot};
}

function updateWords(trace, parameter) {
  if (parameter.rate === 0) return 'this array does not learn: its rate is 0';
  return `${trace.optimizer.name}: ${lastOf(RULES[trace.optimizer.name].words({settings: trace.optimizer.settings, decoupled: trace.optimizer.name === 'adamw'}))[1]}`;
}

function updateLines(trace, parameter, index, made) {
  const {settings, name} = trace.optimizer;
  const lines = [
    ['w', null, made.w],
    ['dL/dw', null, made.raw],
  ];
  if (parameter.rate === 0) return lines;
  if (made.clipped !== made.raw)
    lines.push([
      'clipped',
      settings.clip_norm ? 'by the norm of all gradients' : `to ±${show(settings.clip_value)}`,
      made.clipped,
    ]);
  if (made.pulled !== 0)
    lines.push([
      name === 'adamw' ? 'decay' : 'g',
      name === 'adamw'
        ? 'apart from the gradient'
        : `gradient + decay·w = ${show(made.clipped)} + ${factor(made.pulled)}`,
      name === 'adamw' ? made.pulled : made.g,
    ]);
  lines.push(['rate', null, made.own.rate]);
  const before = Object.entries(parameter.kept).filter(([slot]) => slot !== 'average');
  for (const [slot, [old]] of before) lines.push([slot, 'before', old[index]]);
  for (const [symbol, words, slot] of RULES[name].words(made.own))
    lines.push([symbol, words, slot === null ? made.updated : made.kept[slot]]);
  return lines;
}
