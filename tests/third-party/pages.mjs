// Looks at pages in a real Chromium: what axe-core finds, whether they fit the width, whether the keyboard reaches every link, and
// whether anything was refused by the policy. Prints a JSON array, one object for each look.
//
//     node pages.mjs CHROMIUM REQUEST
//
// REQUEST is JSON: {"urls": {NAME: URL}, "screenshots": FOLDER or null}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [chromium, request] = process.argv.slice(2);
const { urls, screenshots } = JSON.parse(request);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
});

// What the keyboard reaches by Tab, each with whether its focus can be seen.
async function reached(page) {
  const focusable = await page.evaluate(
    () => document.querySelectorAll("a[href], summary, [tabindex='0']").length,
  );
  let visible = 0;
  for (let step = 0; step < Math.min(focusable, 12); step += 1) {
    await page.keyboard.press("Tab");
    visible += await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return document.activeElement !== document.body && style.outlineStyle !== "none" && style.outlineWidth !== "0px" ? 1 : 0;
    });
  }
  return { tried: Math.min(focusable, 12), visible };
}

async function look(name, url, width, scheme) {
  const page = await browser.newPage();
  const refused = [];
  page.on("console", (message) => refused.push(message.text()));
  page.on("pageerror", (error) => refused.push(String(error)));
  await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const response = await page.goto(url, { waitUntil: "load" });
  const scripts = await page.evaluate(() => document.scripts.length);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (screenshots) {
    await page.screenshot({ path: join(screenshots, `${name}-${width}-${scheme}.png`), fullPage: true });
  }
  await page.evaluate(axe);
  // Closed details hide what is to be judged, too.
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  const { violations, passes } = await page.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }),
  );
  const found = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`,
  );
  const keyboard = width === 360 ? await reached(page) : null;
  await page.close();
  return { name, width, scheme, status: response.status(), refused, scripts, overflow, found, passed: passes.length, keyboard };
}

// The status page on a phone in the dark and on a screen in the light, the others on a phone; where somebody wants to see them, all in
// all ways.
function sights(name) {
  if (screenshots) return [[360, "dark"], [1440, "light"], [360, "light"], [1440, "dark"]];
  if (name === "many" || name === "hostile") return [[360, "dark"], [1440, "light"]];
  return [[360, name.length % 2 ? "light" : "dark"]];
}
const looks = [];
try {
  for (const [name, url] of Object.entries(urls)) {
    for (const [width, scheme] of sights(name)) looks.push(await look(name, url, width, scheme));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(looks));
