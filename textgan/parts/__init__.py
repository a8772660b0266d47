"""What several games have in common, and only games know: players, pools, and what a kind of game begins with."""
