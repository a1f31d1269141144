import { afterEach, describe, expect, it, vi } from "vitest";

import { firstLines, prepare } from "./calls";

function stream(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
    },
  });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a call of the viewer", () => {
  it("says that it is meant", () => {
    const request = prepare({ headers: { Accept: "application/json" } });
    expect(request.headers["x-venuemesh-request"]).toBe("1");
    expect(request.userFetch).toBeUndefined();
  });

  it("ends a stream after its first lines", async () => {
    let aborted: AbortSignal | null | undefined;
    vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
      aborted = init.signal;
      return Promise.resolve(new Response(stream("{}\n".repeat(50)), { status: 200 }));
    });
    const request = prepare({ headers: { Accept: "application/x-ndjson" } });
    const response = await request.userFetch?.("/v1/services:watch");
    expect((await response?.text())?.split("\n")).toHaveLength(20);
    expect(aborted?.aborted).toBe(true);
  });
});

describe("the first lines", () => {
  it("may come in pieces", async () => {
    expect(await firstLines(stream('{"a"', ':1}\n{"a":2', "}\n{"), 2)).toBe('{"a":1}\n{"a":2}');
  });

  it("are those before the stream is aborted", async () => {
    const cut = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("{}\n"));
      },
      pull(controller) {
        controller.error(new DOMException("aborted", "AbortError"));
      },
    });
    expect(await firstLines(cut, 5)).toBe("{}\n");
  });
});
