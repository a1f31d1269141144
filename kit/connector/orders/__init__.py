"""An execution client over ccxt: what all venues have in common.

venue_api         what a venue's folder supplies
execution_client  the client, made of a venue's requests and answers
rest_session      calls through ccxt, and what is known after each
attempts          how far such a call has come
order_socket      orders over a venue's websocket
user_stream       account events over the sockets of ccxt.pro
errors            error codes to verdicts: rejected, or outcome unknown
text_conversion   a venue's texts to the contract's types
"""
