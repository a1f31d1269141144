/** A call as the viewer is about to send it. */
export interface ViewerRequest {
  headers: Record<string, string>;
  /** Used in place of fetch. */
  userFetch?: typeof fetch;
}

const STREAM = "application/x-ndjson";
const LINES_MAX = 20;
const WAIT_MS = 5_000;

/** Says that the call is meant, which a page of another site cannot say, and limits a stream. */
export function prepare(request: ViewerRequest): ViewerRequest {
  request.headers["x-venuemesh-request"] = "1";
  const wanted = request.headers.Accept ?? request.headers.accept;
  if (wanted === STREAM) request.userFetch = fetchFirstLines;
  return request;
}

/** A stream does not end by itself, so the viewer shows its first lines. */
async function fetchFirstLines(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const ending = new AbortController();
  const timer = setTimeout(() => {
    ending.abort();
  }, WAIT_MS);
  try {
    const response = await fetch(input, { ...init, signal: ending.signal });
    const text = response.body ? await firstLines(response.body, LINES_MAX) : "";
    const { status, statusText, headers } = response;
    return new Response(text, { status, statusText, headers });
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

/** The first whole lines of a stream: up to a number of them, or those before it is aborted. */
export async function firstLines(body: ReadableStream<Uint8Array>, max: number): Promise<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (text.split("\n").length <= max) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
  return text.split("\n").slice(0, max).join("\n");
}
