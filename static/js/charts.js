// The chart of the statistics page, drawn by Chart.js from the data in the page. The table below it has all of it.
"use strict";

const data = JSON.parse(document.getElementById("chart-data").textContent);
const canvas = document.getElementById("chart");
const swatches = [...document.querySelectorAll(".series-key .swatch")];

// Nano-dollars as the page writes them: exact, with two decimals at least.
function usd(nano) {
  const whole = Math.floor(nano / 1e9);
  const digits = String(nano - whole * 1e9).padStart(9, "0").replace(/0+$/, "").padEnd(2, "0");
  return `$${whole.toLocaleString("en-US")}.${digits}`;
}

function written(value) {
  const number = Math.round(value);
  return data.is_money ? usd(number) : number.toLocaleString("en-US");
}

// Large counts stand beside the chart in few letters: 1.2M.
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

function onAxis(value) {
  return data.is_money ? written(value) : short.format(value);
}

// Colours come from the page's own rules, which know the theme. A canvas understands no light-dark().
function colours() {
  const frame = getComputedStyle(canvas.parentElement);
  return {
    text: frame.color,
    line: frame.borderTopColor,
    surface: frame.backgroundColor,
    series: swatches.map((swatch) => getComputedStyle(swatch).backgroundColor),
  };
}

function draw() {
  const { text, line, surface, series } = colours();
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12 };
  const border = { color: line };
  const ticks = { font, color: text };
  return new Chart(canvas, {
    type: "bar",
    data: {
      labels: data.labels,
      datasets: data.series.map(({ name, values }, number) => ({
        label: name,
        data: values,
        backgroundColor: series[number],
        borderColor: surface,
        borderWidth: { top: 1 },
        maxBarThickness: 48,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: true, grid: { display: false }, border, ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 12 } },
        y: {
          stacked: true,
          beginAtZero: true,
          grid: { color: line },
          border,
          ticks: { ...ticks, maxTicksLimit: 6, precision: 0, callback: onAxis },
        },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          titleFont: font,
          bodyFont: font,
          footerFont: font,
          filter: (item) => item.raw > 0,
          itemSort: (one, other) => other.datasetIndex - one.datasetIndex,
          callbacks: {
            title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
            label: (item) => ` ${item.dataset.label}: ${written(item.raw)}`,
            footer: (items) => (items.length > 1 ? `Total: ${written(items.reduce((sum, item) => sum + item.raw, 0))}` : ""),
          },
        },
      },
    },
  });
}

// In another theme it is another drawing: a chart remembers the colours of its bars.
let chart = draw();
function drawAgain() {
  chart.destroy();
  chart = draw();
}
new MutationObserver(drawAgain).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
