/** All pages of a list, each asked for with the token of the one before. */
export async function* pages<Page extends { readonly nextPageToken: string }>(
  list: (pageToken: string) => Promise<Page>,
): AsyncGenerator<Page> {
  let pageToken = "";
  do {
    const page = await list(pageToken);
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
