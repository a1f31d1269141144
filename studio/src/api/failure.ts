import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";

/** Why a call failed, ready to be shown. */
export interface Failure {
  /** Reason of the mesh's error list, for example "STORE_UNAVAILABLE"; otherwise the gRPC code. */
  readonly reason: string;
  /** In words. */
  readonly message: string;
  /** True when the request itself was refused: the same request will hardly fare better. */
  readonly refused: boolean;
  /** What the mesh's error list promises for the reason, for example "field". */
  readonly metadata?: Readonly<Record<string, string>>;
}

export const STREAM_ENDED: Failure = {
  reason: "STREAM_ENDED",
  message: "The server ended the stream.",
  refused: false,
};

const CONNECTION_LOST: Failure = {
  reason: "CONNECTION_LOST",
  message: "The gateway cannot be reached.",
  refused: false,
};

const REFUSALS: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.Unauthenticated,
]);

export function describeFailure(error: unknown): Failure {
  const status = ConnectError.from(error);
  // How a browser tells of a connection that broke or was never made, each in its own words.
  if (status.cause instanceof TypeError) return CONNECTION_LOST;
  const info = status.findDetails(ErrorInfoSchema)[0];
  const reason = info?.reason ?? codeName(status.code);
  return {
    reason,
    message: status.rawMessage || "The call failed without a message.",
    // A venue that is not registered may be starting; an unlisted instrument stays unlisted.
    refused: REFUSALS.has(status.code) || reason === "UNKNOWN_INSTRUMENT",
    ...(info ? { metadata: info.metadata } : {}),
  };
}

export function failureText(failure: Failure): string {
  return `${failure.reason}: ${failure.message}`;
}

/** 14 is "Unavailable" is "UNAVAILABLE"; 5 is "NotFound" is "NOT_FOUND". */
function codeName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
