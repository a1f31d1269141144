import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";

/** Why a call failed. */
export interface Failure {
  /** Reason of the mesh's error list, for example "STORE_UNAVAILABLE"; otherwise the gRPC code. */
  readonly reason: string;
  /** The message. */
  readonly message: string;
  /** True when the request itself was rejected: a retry will hardly succeed. */
  readonly isRejected: boolean;
  /** The metadata of the reason, for example "field". */
  readonly metadata?: Readonly<Record<string, string>>;
}

export const STREAM_ENDED: Failure = {
  reason: "STREAM_ENDED",
  message: "The server ended the stream.",
  isRejected: false,
};

const CONNECTION_LOST: Failure = {
  reason: "CONNECTION_LOST",
  message: "The gateway cannot be reached.",
  isRejected: false,
};

const REJECTIONS: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.Unauthenticated,
]);

export function describeFailure(error: unknown): Failure {
  const status = ConnectError.from(error);
  // The texts of different browsers for a connection that failed or was lost.
  if (status.cause instanceof TypeError) return CONNECTION_LOST;
  const info = status.findDetails(ErrorInfoSchema)[0];
  const reason = info?.reason ?? codeName(status.code);
  return {
    reason,
    message: status.rawMessage || "The call failed without a message.",
    // A venue that is not registered may be starting; an unlisted instrument stays unlisted.
    isRejected: REJECTIONS.has(status.code) || reason === "UNKNOWN_INSTRUMENT",
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
