import { expect, it } from "vitest";

import { allPages } from "./pages";

it("reads every page, in order", async () => {
  const next: Record<string, string> = { "": "b", b: "c", c: "" };
  const asked: string[] = [];
  const pages = await allPages((pageToken) => {
    asked.push(pageToken);
    return Promise.resolve({ rows: [pageToken], nextPageToken: next[pageToken] ?? "" });
  });
  expect(asked).toEqual(["", "b", "c"]);
  expect(pages.flatMap((page) => page.rows)).toEqual(["", "b", "c"]);
});
