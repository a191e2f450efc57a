/**
 * Plots as SVG files for docs/, by echarts without a browser. Points joined by lines, one series a colour.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

export interface Series {
  readonly name: string;
  /** [x, y] */
  readonly points: readonly (readonly [number, number])[];
  /** Draw points only. [default false] */
  readonly scatter?: boolean;
}

export interface Plot {
  readonly title: string;
  readonly xName: string;
  readonly yName: string;
  /** [default linear] */
  readonly xScale?: "value" | "log";
  readonly series: readonly Series[];
}

const SIZE = { width: 860, height: 480 };

async function renderPlot({ title, xName, yName, xScale = "value", series }: Plot): Promise<string> {
  const { init } = await import("echarts"); // a development dependency: only who writes docs needs it
  const chart = init(null, null, { renderer: "svg", ssr: true, ...SIZE });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, left: "center", textStyle: { fontSize: 15 } },
    legend: { bottom: 0 },
    grid: { left: 64, right: 24, top: 48, bottom: 84 },
    xAxis: { type: xScale, name: xName, nameLocation: "middle", nameGap: 28, scale: true },
    yAxis: { type: "value", name: yName, nameLocation: "middle", nameGap: 44, scale: true },
    series: series.map((s) => ({
      name: s.name,
      type: s.scatter === true ? "scatter" : "line",
      symbolSize: s.scatter === true ? 9 : 6,
      data: s.points.map((p) => [...p]),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

export async function writePlot(path: string, plot: Plot): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await renderPlot(plot));
}
