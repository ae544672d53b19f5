// A window that slides: play, a slider, a click on a number of the output, arrow keys on it.

const at = (table, [row, column]) => table.rows[row].cells[column];

class Slide {
  constructor(figure) {
    this.steps = JSON.parse(figure.querySelector('script').textContent);
    const table = name => figure.querySelector(`table[data-part="${name}"]`);
    Object.assign(this, {
      figure,
      image: table('image'),
      filter: table('filter'),
      output: table('output'),
      number: 0,
      timer: null,
      play: figure.querySelector('.play'),
      slider: figure.querySelector('input'),
      said: figure.querySelector('.said'),
    });
    this.play.addEventListener('click', () => this.toggle());
    this.slider.addEventListener('input', () => this.show(Number(this.slider.value)));
    this.steps.forEach((step, number) => {
      const cell = at(this.output, step.output);
      cell.addEventListener('click', () => {
        this.show(number);
        cell.focus();
      });
    });
    this.output.addEventListener('keydown', event => this.key(event));
    this.show(0);
  }

  show(number) {
    this.number = number;
    const step = this.steps[number];
    for (const cell of this.figure.querySelectorAll('td')) {
      cell.classList.remove('lit');
      cell.querySelector('sub')?.remove();
      if (cell.tabIndex === 0) cell.tabIndex = -1;
    }
    step.window.forEach((place, i) => {
      const cell = at(this.image, place),
        weight = at(this.filter, step.taps[i]);
      cell.classList.add('lit');
      cell.append(el('sub', {'aria-hidden': 'true'}, `×${weight.dataset.value}`));
      weight.classList.add('lit');
    });
    const chosen = at(this.output, step.output);
    chosen.classList.add('lit');
    chosen.tabIndex = 0;
    this.slider.value = String(number);
    this.said.textContent = step.text;
  }

  key(event) {
    const moves = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.output.rows[0].cells.length,
      ArrowUp: -this.output.rows[0].cells.length,
    };
    if (event.key === ' ') this.toggle();
    else if (event.key in moves) {
      const next = this.number + moves[event.key];
      if (next >= 0 && next < this.steps.length) this.show(next);
      at(this.output, this.steps[this.number].output).focus();
    } else return;
    event.preventDefault();
  }

  toggle() {
    if (this.timer === null) this.timer = setInterval(() => this.show((this.number + 1) % this.steps.length), 900);
    else {
      clearInterval(this.timer);
      this.timer = null;
    }
    this.play.textContent = this.timer === null ? '▶ Play' : '■ Stop';
    this.play.setAttribute('aria-pressed', String(this.timer !== null));
    this.said.setAttribute('aria-live', this.timer === null ? 'polite' : 'off');
  }
}

const dark = matchMedia('(prefers-color-scheme: dark)');
document.getElementById('theme').addEventListener('click', () => {
  const now = document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = now === 'dark' ? 'light' : 'dark';
});
for (const figure of document.querySelectorAll('.slide')) new Slide(figure);
document.body.dataset.ready = 'true';
