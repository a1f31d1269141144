"""An execution client over ccxt: what all venues have in common.

venue_api         what a venue's folder supplies
execution_client  the client, made of a venue's requests and answers
batch_calls       calls that place or cancel several orders at once
fill_pages        what each page of a venue's list of fills completes
rest_session      calls through ccxt, and what is known after each
attempts          how far such a call has come
call_sequence     the order of signed calls, where nonces must grow
server_time       how a venue is asked for its time
order_socket      orders over a venue's websocket
user_stream       account events over the sockets of ccxt.pro
errors            error codes to verdicts: rejected, or outcome unknown
text_conversion   a venue's texts to the contract's types
"""
