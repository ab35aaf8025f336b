/**
 * The report's style sheet. Series colours keep apart for colour-blind readers and stand at 3:1 or more on both
 * backgrounds.
 */
export const reportStyle = `
:root { color-scheme: light dark; --paper: #fcfcfa; --panel: #ffffff; --ink: #1c2024; --soft: #5d666f; --faint: #e4e6e4; --outside: #f3f5f7;
  --ma-cross: #1864ab; --rsi-reversion: #c2410c; --channel-breakout: #0b7a5b; --buy-and-hold: #7a7f87; --good: #0b7a5b; --shadow: 0 1px 2px rgb(0 0 0 / 6%), 0 4px 16px rgb(0 0 0 / 5%); }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --panel: #1b1f23; --ink: #e9ecef; --soft: #a3acb5; --faint: #32383e; --outside: #20252a;
  --ma-cross: #6cb2f5; --rsi-reversion: #ff9c5f; --channel-breakout: #4fd1a5; --buy-and-hold: #9aa1aa; --good: #4fd1a5; --shadow: 0 1px 2px rgb(0 0 0 / 40%); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; font-weight: 650; }
h2 { font-size: 18px; margin: 44px 0 4px; font-weight: 650; letter-spacing: -0.01em; }
p { margin: 0 0 12px; max-width: 78ch; } .lead { color: var(--soft); font-size: 16px; } .note { color: var(--soft); font-size: 13.5px; margin-top: 4px; max-width: 110ch; }
.finding { border-left: 3px solid var(--rsi-reversion); padding: 2px 0 2px 16px; margin: 22px 0 0; font-size: 17px; max-width: 80ch; }
.panel { background: var(--panel); border: 1px solid var(--faint); border-radius: 10px; padding: 16px; margin-top: 12px; box-shadow: var(--shadow); overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .verdict { width: 100%; min-width: 860px; }
.verdict th { font-weight: 500; color: var(--soft); font-size: 13px; text-align: right; padding: 4px 10px; white-space: nowrap; } .verdict th.group { text-align: center; border-bottom: 1px solid var(--faint); color: var(--ink); font-weight: 600; }
.verdict td { text-align: right; padding: 9px 10px; border-top: 1px solid var(--faint); white-space: nowrap; } .verdict td:first-child, .verdict th:first-child { text-align: left; padding-left: 4px; }
.verdict .gap { border-left: 1px solid var(--faint); } .verdict small { display: block; color: var(--soft); font-size: 12.5px; font-weight: 400; } .verdict b { font-weight: 600; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; background: currentColor; }
.ma-cross { color: var(--ma-cross); stroke: var(--ma-cross); } .rsi-reversion { color: var(--rsi-reversion); stroke: var(--rsi-reversion); }
.channel-breakout { color: var(--channel-breakout); stroke: var(--channel-breakout); } .buy-and-hold { color: var(--buy-and-hold); stroke: var(--buy-and-hold); }
.meter { display: inline-block; position: relative; width: 96px; height: 8px; border-radius: 4px; background: var(--faint); vertical-align: middle; margin-left: 10px; }
.meter i { position: absolute; inset: 0 auto 0 0; border-radius: 4px; background: currentColor; } .meter u { position: absolute; left: 95%; top: -3px; bottom: -3px; width: 2px; background: var(--ink); }
svg { display: block; width: 100%; height: auto; font-family: inherit; } svg.chart { min-width: 760px; touch-action: pan-y; }
.grid { stroke: var(--faint); stroke-width: 1; } .tick { fill: var(--soft); font-size: 12px; } .axis { fill: var(--soft); font-size: 12.5px; } .side { fill: var(--soft); stroke: none; font-size: 12px; }
.outside { fill: var(--outside); } .split { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; } .cursor { stroke: var(--ink); stroke-width: 1; opacity: .5; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .line.buy-and-hold { stroke-width: 1.5; } .area { stroke: none; fill: currentColor; opacity: .07; }
.end { stroke: none; fill: currentColor; font-size: 13px; font-weight: 600; } .end .value { font-weight: 400; }
.maps { display: grid; grid-template-columns: repeat(3, minmax(260px, 1fr)); gap: 4px 20px; } .maps figure { margin: 0; } .maps figcaption { font-size: 14px; font-weight: 600; margin-bottom: 4px; } .maps figcaption span { color: var(--soft); font-weight: 400; } .maps .row { grid-column: 1 / -1; color: var(--soft); font-size: 13px; margin: 8px 0 4px; } .maps .row + figure ~ .row { margin-top: 18px; }
.field { fill: var(--outside); } .halo { fill: none; stroke: #fff; stroke-width: 4; } .best { fill: none; stroke: #111; stroke-width: 2; }
.legend { display: flex; align-items: center; gap: 10px; color: var(--soft); font-size: 13px; margin: 14px 0 2px; flex-wrap: wrap; } .legend .bar { width: 220px; height: 10px; border-radius: 5px; }
.ring { display: inline-block; width: 12px; height: 12px; border: 2px solid var(--ink); border-radius: 50%; margin-left: 18px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 12px; } .fact { background: var(--panel); border: 1px solid var(--faint); border-radius: 10px; padding: 12px 16px; }
.fact b { display: block; font-size: 22px; font-weight: 600; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; } .fact span { color: var(--soft); font-size: 13px; }
.digests { font-size: 13.5px; margin-top: 14px; width: 100%; min-width: 700px; } .digests td, .digests th { padding: 6px 14px 6px 0; text-align: left; border-top: 1px solid var(--faint); } .digests th { color: var(--soft); font-weight: 500; border-top: none; }
code { font: 12.5px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; } .same { color: var(--good); font-weight: 600; }
#tip { position: fixed; left: 0; top: 0; display: none; pointer-events: none; background: var(--panel); color: var(--ink); border: 1px solid var(--faint); border-radius: 8px; padding: 8px 12px; font-size: 13px; box-shadow: 0 6px 24px rgb(0 0 0 / 18%); z-index: 9; }
#tip td { padding: 1px 0 1px 14px; text-align: right; } #tip td:first-child { padding-left: 0; text-align: left; } #tip th { font-weight: 400; color: var(--soft); text-align: right; padding-left: 14px; font-size: 12px; }
footer { margin-top: 48px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--faint); padding-top: 14px; }
@media (max-width: 900px) { .maps { grid-template-columns: 1fr; } main { padding: 24px 14px 48px; } }
@media print { .panel, .fact { box-shadow: none; break-inside: avoid; } }
`;
