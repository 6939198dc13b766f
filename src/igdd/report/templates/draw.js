const charts = JSON.parse(document.getElementById("charts").textContent);
const options = {
  mode: "vega-lite",
  ast: true,
  renderer: "svg",
  defaultStyle: false,
  forceActionsMenu: true,
  tooltip: { disableDefaultStyle: true },
  actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
};
Promise.all(
  Array.from(document.querySelectorAll("[data-chart]"), (place) =>
    vegaEmbed(place, charts[place.dataset.chart], { ...options, downloadFileName: place.dataset.chart })
      .then(() => place.classList.add("drawn"))
      .catch((error) => { place.classList.add("failed"); place.textContent = String(error); }),
  ),
).then(() => document.documentElement.classList.add("ready"));
