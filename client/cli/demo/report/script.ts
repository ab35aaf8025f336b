/**
 * What moves in the report: a cursor with the day's values over the curves, and the figures of a cell over the maps.
 * Plain script, no network.
 */
export const reportScript = `
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const show = (event, html) => {
    tip.innerHTML = html;
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 16 : event.clientX + 16;
    tip.style.transform = "translate(" + left + "px," + Math.max(8, Math.min(innerHeight - box.height - 8, event.clientY - box.height / 2)) + "px)";
  };
  const hide = () => { tip.style.display = "none"; };
  const inSvg = (svg, event) => {
    const box = svg.getBoundingClientRect();
    const view = svg.viewBox.baseVal;
    return { x: ((event.clientX - box.left) / box.width) * view.width, y: ((event.clientY - box.top) / box.height) * view.height };
  };
  const { plot, days, curves } = data;
  for (const curve of curves) {
    let peak = 0;
    curve.fall = curve.values.map((value) => { peak = Math.max(peak, value); return value / peak - 1; });
  }
  const percent = (value) => (value * 100).toFixed(1).replace("-", "\\u2212") + " %";
  const nearest = (day) => {
    let low = 0, high = days.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (days[middle] < day) low = middle + 1; else high = middle; }
    return low;
  };
  for (const svg of document.querySelectorAll("svg.chart")) {
    const cursor = svg.querySelector(".cursor");
    svg.addEventListener("pointermove", (event) => {
      const { x } = inSvg(svg, event);
      const part = (x - plot.left) / (plot.width - plot.left - plot.right);
      if (part < 0 || part > 1) { hide(); cursor.setAttribute("visibility", "hidden"); return; }
      const bar = nearest(days[0] + part * (days[days.length - 1] - days[0]));
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      const rows = curves.map((curve) => '<tr><td><i class="dot ' + curve.key + '"></i>' + curve.label + "</td><td>" + (curve.values[bar] / 1000).toFixed(2) + "\\u00d7</td><td>" + percent(curve.fall[bar]) + "</td></tr>");
      show(event, "<b>" + new Date(days[bar] * 864e5).toISOString().slice(0, 10) + "</b><table><tr><th></th><th>value</th><th>from peak</th></tr>" + rows.join("") + "</table>");
    });
    svg.addEventListener("pointerleave", () => { hide(); cursor.setAttribute("visibility", "hidden"); });
  }
  const { map } = data;
  for (const svg of document.querySelectorAll("svg.map")) {
    const surface = data.surfaces[svg.id];
    svg.addEventListener("pointermove", (event) => {
      const { x, y } = inSvg(svg, event);
      const column = Math.floor(((x - map.left) / (map.width - map.left - map.right)) * surface.x.length);
      const row = surface.y.length - 1 - Math.floor(((y - map.top) / (map.height - map.top - map.bottom)) * surface.y.length);
      if (!(column >= 0 && column < surface.x.length && row >= 0 && row < surface.y.length)) { hide(); return; }
      const figure = (values) => { const value = values[row * surface.x.length + column]; return value === null ? "\\u2013" : (value / 1000).toFixed(2).replace("-", "\\u2212"); };
      show(event, "<b>" + surface.xName + " " + surface.x[column] + ", " + surface.yName + " " + surface.y[row] + "</b><table><tr><td>Sharpe in sample</td><td>" + figure(surface.inSample) + "</td></tr><tr><td>out of sample</td><td>" + figure(surface.outOfSample) + "</td></tr></table>");
    });
    svg.addEventListener("pointerleave", hide);
  }
})();
`;
