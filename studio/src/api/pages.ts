/** One page of a list. */
interface Page {
  readonly nextPageToken: string;
}

/** All pages of a list, each asked for with the token of the one before. */
export async function allPages<P extends Page>(
  list: (pageToken: string) => Promise<P>,
): Promise<readonly P[]> {
  const pages: P[] = [];
  let pageToken = "";
  do {
    const page = await list(pageToken);
    pages.push(page);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return pages;
}
